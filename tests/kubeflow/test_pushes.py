"""A run that ended well is told from one that published a model."""

from tfx_shrink.kubeflow.pushes import describe_pushes, pusher_tasks


def component(title):
    schema = {"artifactType": {"instanceSchema": f"title: {title}\ntype: object\n"}}
    return {"outputDefinitions": {"artifacts": {"made": schema}}}


def test_a_pusher_is_known_by_what_it_makes():
    spec = {
        "root": {
            "dag": {
                "tasks": {
                    "trainer": {"componentRef": {"name": "comp-trainer"}},
                    "anything": {"componentRef": {"name": "comp-anything"}},
                }
            }
        },
        "components": {
            "comp-trainer": component("tfx.Model"),
            "comp-anything": component("tfx.PushedModel"),
        },
    }
    assert pusher_tasks(spec) == ["anything"]


def test_only_a_published_model_is_called_published():
    pushed = {"pushed": 1, "pushed_destination": "s3://b/m/1"}
    made = {"pusher": {"pushed_model": {"metadata": pushed}}}
    assert describe_pushes(made, [], ["pusher"]) == (["s3://b/m/1"], "published: s3://b/m/1")
    unblessed = {"pusher": {"pushed_model": {"metadata": {"pushed": 0}}}}
    assert describe_pushes(unblessed, [], ["pusher"]) == (
        [],
        "not pushed: pusher was not given a blessed model",
    )
    assert describe_pushes({}, ["pusher"], ["pusher"]) == (
        [],
        "not pushed: pusher was skipped by its condition",
    )
    assert describe_pushes({}, [], []) == ([], "")
