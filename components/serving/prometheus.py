"""Asking Prometheus."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tfx_shrink.errors import ParameterError, PrometheusError

_SCHEMES = ("http://", "https://")


class Prometheus:
    """One Prometheus, or what speaks its HTTP API.

    Args:
      url: Where it is, such as `http://prometheus:9090`, with a path prefix if it has one.
      timeout: How many seconds one answer may take. Defaults to 30.

    Raises:
      ParameterError: The URL is none, or holds a user or a query.
    """

    def __init__(self, url: str, timeout: float = 30.0):
        parts = urllib.parse.urlsplit(url)
        if not url.startswith(_SCHEMES) or not parts.hostname or "@" in url or parts.query:
            # It may hold a password, so it is not repeated.
            raise ParameterError(
                "The URL of Prometheus must be http://host:port or https://host, without a user "
                "or a query."
            )
        self.url, self._timeout = url.rstrip("/"), timeout

    def value(self, query: str) -> float | None:
        """Returns the one number that a query has now, or None where it has none.

        Raises:
          PrometheusError: It does not answer, or the query has more than one number.
        """
        result = self._get("/api/v1/query", query=query)
        if len(result) > 1:
            labels = [found["metric"] for found in result]
            raise PrometheusError(f"{query} has {len(result)} values, not one: {labels}.")
        number = float(result[0]["value"][1]) if result else math.nan
        return None if math.isnan(number) else number

    def _get(self, path: str, **parameters: str) -> list[Any]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=self._timeout) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            said = error.read(1000).decode(errors="replace")
            raise PrometheusError(
                f"Prometheus at {self.url} answers {error.code} to {parameters}: {said}"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrometheusError(
                f"Prometheus at {self.url} does not answer: {error}. See whether it is reachable "
                "from here."
            ) from error
