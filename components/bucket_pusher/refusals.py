"""What is told of a store's refusal: what to do, and no secret."""

import os
import re

from obstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError

CREDENTIALS = {
    "s3://": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine",
    "gs://": "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT, or a role of this machine",
    "az://": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or a workload identity",
    "memory://": "nothing",
}
PLACES = {
    "s3://": "AWS_REGION and AWS_ENDPOINT_URL",
    "gs://": "the network, and the endpoint in the service account's file if it names one",
    "az://": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
    "memory://": "nothing",
}
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|SIGNATURE|SAS", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"(?i)\b(sig|x-amz-[\w-]+|x-goog-[\w-]+|authorization|signature)([=:]\s*)[^&\s\"']+"
)
_SAID = ("Code", "Message")
_REFUSAL = re.compile(r"<Error>.*</Error>", re.DOTALL)
_SHORTEST_SECRET = 6
# obstore raises Python's own errors where there are such.
MISSING = (NotFoundError, FileNotFoundError)
_FORBIDDEN = (PermissionDeniedError, UnauthenticatedError, PermissionError)


def explain(error: Exception, url: str, scheme: str) -> str:
    """Says what a store refused, why that may be, and what to do; without any secret."""
    text = without_secrets(str(error).split("\n\nDebug source")[0])
    credentials, places = CREDENTIALS[scheme], PLACES[scheme]
    if isinstance(error, _FORBIDDEN) or re.search(
        r"\b40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied", text
    ):
        remedy = (
            "no permission. Credentials are taken from the environment "
            f"({credentials}); they must allow listing, reading, writing and deleting here"
        )
    elif isinstance(error, MISSING) or no_bucket(error):
        remedy = (
            "the bucket or container does not exist, or lies elsewhere. Create it, or check "
            f"its name, and {places}"
        )
    elif re.search(r"(?i)redirect|region|\b30[1278]\b|malformed|invalid", text):
        remedy = f"wrong region or endpoint. Check {places}"
    else:
        remedy = f"the store cannot be reached or refuses. Check {places}, and {credentials}"
    return f"Cannot use {url}: {remedy}. It said: {text}"


def without_secrets(text: str) -> str:
    """Returns a text without what looks secret in it.

    That is the values of environment variables with such names, signatures, and of a store's
    refusal all but code and message: S3 repeats the request that it refuses, tokens included.
    """
    text = _REFUSAL.sub(_code_and_message, text)
    values = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "…")
    return _SIGNATURE.sub(r"\1\2…", text)


def _code_and_message(refusal: re.Match[str]) -> str:
    found = (re.search(f"<{tag}>(.*?)</{tag}>", refusal[0], re.DOTALL) for tag in _SAID)
    return ": ".join(part[1] for part in found if part)


def no_bucket(error: Exception) -> bool:
    """Whether a store says that the bucket itself is not there."""
    return bool(re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", str(error)))
