"""The texts of click, the command-line library. They are listed here so that our catalogue has their translations."""

from __future__ import annotations

from gateway.domain.texts import text


def plural(singular: str, several: str) -> tuple[str, str]:
    """Return a text with two forms. Write both as literals: the catalogue is extracted from the calls of `plural`."""
    return singular, several


# The texts of click 8 that our commands can print. Their placeholders are click's, some of them with "!r".
CLICK_TEXTS = (
    text("Usage:"),
    text("[OPTIONS]"),
    text("COMMAND [ARGS]..."),
    text("Options"),
    text("Commands"),
    text("Positional arguments"),
    text("Aborted!"),
    text("Show this message and exit."),
    text("Show the version and exit."),
    text("default: {default}"),
    text("Error: {message}"),
    text("Error: invalid input"),
    text("Try '{command} {option}' for help."),
    text("Missing command."),
    text("Missing argument"),
    text("Missing option"),
    text("Invalid value: {message}"),
    text("Invalid value for {param_hint}: {message}"),
    text("No such option {name!r}."),
    text("No such command {name!r}."),
    text("Option {name!r} does not take a value."),
    text("{value!r} is not a valid {number_type}."),
    text("{value!r} is not a valid UUID."),
    text("{value} is not in the range {range}."),
    text("{name} {filename!r} does not exist."),
    text("{name} {filename!r} is a file."),
    text("{name} {filename!r} is a directory."),
    text("{name} {filename!r} is not readable."),
)
CLICK_PLURALS = (
    plural("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    plural("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    plural("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    plural("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    plural("{value!r} does not match the format {format}.", "{value!r} does not match the formats {formats}."),
)
