"""What a user would write without tfx-shrink; each from its documentation, none of it ours."""
