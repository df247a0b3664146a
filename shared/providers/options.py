"""A source's settings, declared: each provider's own names, checked when they are set.

Comes in: the `settings` JSON of a source, in camelCase or snake_case. Comes out: values, or sentences about what is
wrong, without the values. Pure.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.providers.contract import JSON


class Options(BaseModel):
    """Settings in which an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class SourceOptions(Options):
    """The settings of a source, of which each provider adds its own to these."""

    any_content_type: bool = False  # take a body whatever its Content-Type calls it


class _OfEvery(SourceOptions):
    """What every source has, out of settings that have more."""

    model_config = ConfigDict(extra="ignore")


Some = TypeVar("Some", bound=Options)


def read(model: type[Some], settings: Mapping[str, JSON]) -> Some | None:
    """The settings as `model` declares them; `None` when they do not hold together."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError:
        return None


def takes_any_content_type(settings: Mapping[str, JSON]) -> bool:
    """Whether the source is to take bodies whatever they are called."""
    found = read(_OfEvery, settings)
    return found is not None and found.any_content_type


def problems(model: type[Options], settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with the settings, a sentence each, beginning with the setting's name."""
    try:
        model.model_validate(dict(settings))
    except ValidationError as error:
        return readable(error)
    return []


def readable(error: ValidationError) -> list[str]:
    """Pydantic's findings as sentences, without the values."""
    return [
        ": ".join(part for part in (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) if part)
        for item in error.errors(include_url=False, include_input=False)
    ]
