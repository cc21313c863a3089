"""The JSON Schema of config.yaml, for editors; what checks a file is `load`, which says more."""

from typing import Any

from .schema import File

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """Give the schema (JSON Schema 2020-12) as the dict that JSON is written from.

    >>> config_schema()["properties"]["recordings"]["default"]
    'recordings'
    """
    schema = File.model_json_schema()
    definitions = schema["$defs"]
    # A path alone is short for a mapping.
    definitions["JsonEntry"] = {"anyOf": [{"type": "string"}, definitions["JsonEntry"]]}
    for section in (schema, *definitions.values()):
        section.pop("title", None)
        for name, value in section.get("properties", {}).items():
            value.pop("title", None)
            # A key without a value has its default.
            section["properties"][name] = {"anyOf": [value, {"type": "null"}]}
            if "default" in value:
                section["properties"][name]["default"] = value.pop("default")
    return {"$schema": _DIALECT, "title": "wiretape's config.yaml", **schema}
