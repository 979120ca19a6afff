"""Check the import rules that import-linter's own contract types cannot express (`setup.cfg`, section `importlinter`).

Both types find the rooms of the adapters by themselves, so no rule changes when an adapter is added. A room is a package
that has a module `adapter`; a channel is a package directly under `adapters`. import-linter loads this module, and
it needs the `dev` extra; the gateway never imports it.
"""

from __future__ import annotations

from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils
from importlinter.domain.helpers import module_expressions_to_modules
from importlinter.domain.imports import ModuleExpression

# An import that a contract forbids: the importing module, the imported module, the reason.
Violation = tuple[str, str, str]


class _DirectImports(Contract):
    """Check every direct import in the graph and print the forbidden ones."""

    broken_contract_guidance = fields.TextField(required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return whether no import is forbidden; the forbidden ones are in the metadata."""
        forbidden = sorted(set(self._violations(graph)))
        lines = [
            f"{importer} imports {imported}{_lines(graph, importer, imported)}: {reason}"
            for importer, imported, reason in forbidden
        ]
        return ContractCheck(kept=not lines, metadata={"lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per forbidden import, then the guidance."""
        for line in check.metadata["lines"]:
            output.print_error(f"- {line}", bold=False)
        output.new_line()
        contract_utils.render_broken_contract_guidance(self.broken_contract_guidance)  # type: ignore[arg-type]

    def _violations(self, graph: ImportGraph) -> Iterator[Violation]:
        raise NotImplementedError


class AllowList(_DirectImports):
    """Allow the importers these modules of the guarded packages, and no others.

    `importers`, `except_importers`, `allowed`: module expressions; a package stands for everything in it.
    `guarded`: the packages to which the rule applies; imports of other packages are not checked.
    `own_package`: the last part of a package's name, for example `simulator`. Modules of that package may import
    one another.
    """

    type_name = "allow_list"

    importers = fields.SetField(subfield=fields.ModuleExpressionField())
    except_importers = fields.SetField(subfield=fields.ModuleExpressionField(), required=False, default=set())
    guarded = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed = fields.SetField(subfield=fields.ModuleExpressionField())
    own_package = fields.StringField(required=False, default="")

    def _violations(self, graph: ImportGraph) -> Iterator[Violation]:
        importers = _members(graph, self.importers) - _members(graph, self.except_importers)  # type: ignore[arg-type]
        allowed = _members(graph, self.allowed)  # type: ignore[arg-type]
        closed = _members(graph, self.guarded) - allowed  # type: ignore[arg-type]
        names = ", ".join(sorted(str(expression) for expression in self.allowed))  # type: ignore[attr-defined]
        for importer in importers:
            own = _package_named(importer, str(self.own_package))
            for imported in graph.find_modules_directly_imported_by(importer) & closed:
                if not own or not _inside(imported, own):
                    yield importer, imported, f"only {names} are allowed"


class SeparateRooms(_DirectImports):
    """Keep channels apart from one another, and the rooms of one channel apart from one another.

    `root`: the package of all adapters. `shared`: the package in it that every channel may import and that imports
    no channel. A module of a channel outside its rooms (for example `adapters.sms.gsm`) may be imported by the rooms
    of that channel, and imports no room.
    """

    type_name = "separate_rooms"

    root = fields.StringField()
    shared = fields.StringField()

    def _violations(self, graph: ImportGraph) -> Iterator[Violation]:
        modules = graph.find_descendants(str(self.root))
        rooms = {module.removesuffix(".adapter") for module in modules if module.endswith(".adapter")}
        for importer in modules:
            for imported in graph.find_modules_directly_imported_by(importer) & modules:
                reason = self._reason(importer, imported, rooms)
                if reason:
                    yield importer, imported, reason

    def _reason(self, importer: str, imported: str, rooms: set[str]) -> str:
        """Return the reason why this import is forbidden, or an empty string if it is allowed."""
        if _inside(imported, str(self.shared)):
            return ""
        if self._channel(importer) != self._channel(imported):
            return "a channel imports no other channel"
        room = _room_of(imported, rooms)
        if room and room != _room_of(importer, rooms):
            return f"only {room} imports its own modules"
        return ""

    def _channel(self, module: str) -> str:
        return module.removeprefix(f"{self.root}.").split(".")[0]


def _members(graph: ImportGraph, expressions: set[ModuleExpression]) -> set[str]:
    return {module.name for module in module_expressions_to_modules(graph, expressions, as_packages=True)}


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _package_named(module: str, last: str) -> str:
    """Return the package that contains the module and whose last name is `last`, or an empty string."""
    parts = module.split(".")
    return ".".join(parts[: parts.index(last) + 1]) if last in parts else ""


def _room_of(module: str, rooms: set[str]) -> str:
    return next((room for room in rooms if _inside(module, room)), "")


def _lines(graph: ImportGraph, importer: str, imported: str) -> str:
    details = graph.get_import_details(importer=importer, imported=imported)
    numbers = sorted({detail["line_number"] for detail in details})
    return f" (line {', '.join(map(str, numbers))})" if numbers else ""
