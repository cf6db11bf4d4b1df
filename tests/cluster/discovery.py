"""What Google's services say of themselves: the discovery documents that Google's client carries with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"


@cache
def document(service: str) -> dict[str, Any]:
    """The document of a service and version, such as ``compute.v1``. It is shared: change a copy alone."""
    return json.loads((DOCUMENTS / f"{service}.json").read_text())


@dataclass(frozen=True)
class Method:
    """One method of a service, as its document describes it."""

    service: str
    described: dict[str, Any]

    @property
    def name(self) -> str:
        """The method's full name, such as ``compute.instances.insert``."""
        return self.described["id"]

    def matches(self, verb: str, path: str) -> re.Match[str] | None:
        """Compare with verb and path (below the service's root); the match's groups are the path's parts."""
        root = document(self.service)["servicePath"]
        parts = re.split(r"\{[^}]+\}", root + self.described.get("flatPath", self.described["path"]))
        pattern = "([^/:]+)".join(map(re.escape, parts))
        return re.fullmatch(pattern, path) if verb == self.described["httpMethod"] else None

    def faults(self, query: dict[str, str], body: Any) -> list[str]:
        """What of a request the service would not know, or would miss."""
        known = self.described.get("parameters", {}) | document(self.service)["parameters"]
        unknown = [f"?{key}: unknown" for key in query if key not in known]
        return unknown + self._misfits("request", body)

    def faults_of_answer(self, answer: Any) -> list[str]:
        """What of an answer the service would not say."""
        return self._misfits("response", answer)

    def _misfits(self, kind: str, value: Any) -> list[str]:
        if kind not in self.described:
            return [] if value is None else [f"{kind}: none is known"]
        schemas = document(self.service)["schemas"]
        needed = self.name if kind == "request" else None
        return misfits({} if value is None else value, self.described[kind], schemas, "", needed)


def methods(service: str) -> list[Method]:
    """All methods of a service."""

    def within(resource: dict[str, Any]) -> Iterator[Method]:
        yield from (Method(service, described) for described in resource.get("methods", {}).values())
        for inner in resource.get("resources", {}).values():
            yield from within(inner)

    return list(within(document(service)))


def misfits(
    value: Any, shape: dict[str, Any], schemas: dict[str, Any], where: str = "", needed_by: str | None = None
) -> list[str]:
    """What of a value the API does not know: keys, enumerated values, types, names that do not fit.

    With ``needed_by`` also what this method needs and the value lacks.
    """
    shape = schemas[shape["$ref"]] if "$ref" in shape else shape
    if shape["type"] == "object" and "properties" in shape:
        known = shape["properties"]
        wrong = [f"{where}.{key}: unknown" for key in value if key not in known]
        for key in (key for key in value if key in known):
            wrong += misfits(value[key], known[key], schemas, f"{where}.{key}", needed_by)
        return wrong + [
            f"{where}.{key}: missing"
            for key, inner in known.items()
            if key not in value and needed_by in inner.get("annotations", {}).get("required", [])
        ]
    if shape["type"] == "array":
        inner = shape["items"]
        return [
            m for i, v in enumerate(value) for m in misfits(v, inner, schemas, f"{where}[{i}]", needed_by)
        ]
    # The API's 64-bit numbers are text in JSON; it takes numbers, too.
    kinds = {"string": (str, int), "boolean": (bool,), "integer": (int,), "number": (int, float)}
    if type(value) not in kinds.get(shape["type"], (type(value),)):
        return [f"{where}: not a {shape['type']}"]
    if "enum" in shape and value not in shape["enum"]:
        return [f"{where}: {value!r} is not offered"]
    if "pattern" in shape and not re.fullmatch(shape["pattern"], str(value)):
        return [f"{where}: {value!r} is no such name"]
    return []
