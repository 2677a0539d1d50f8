"""The protocol-neutral meaning of a request: effects, lineage, parameters, and whether it was read completely.

Compiled when the wheel is built: every message of an exchange looks at its statement. What it is made of is in
effects.py, and imported from here.
"""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.effects import Effect, Literal, Origin, Output, Relation, Use, full_name, quote_part

__all__ = ["Effect", "Literal", "Origin", "Output", "Relation", "Statement", "Use", "full_name", "quote_part"]

_NO_ORIGINS: Final[dict[int, tuple[Origin, ...]]] = {}
_NO_FACTS: Final[dict[str, Any]] = {}


class Statement:
    """What one request means. `text` is what the client sent, unchanged.

    `complete` is False when reading conceded, with `conceded` saying why; effects are then a lower bound.
    `parameters` is None while they are not known (at Parse), else text values, None for NULL.
    `parameters_read` is False where some are shown in a form that is not what the target takes them for (a binary value
    of a type that is not known): a rule that looks at parameters then errs.
    `outputs` is None when the request answers no rows or they cannot be predicted (`opaque_rows` tells which).
    `literals` are constants that stand beside columns, `parameter_origins` the same for parameters (by 0-based index).
    `parameter_types` are the types that the client declared for them, where it did; `runs` is the prepared statement or
    cursor that the text names, with the text that it was made of: an approval shows it and binds to both.
    `stored_calls` are the functions behind values that the statement writes, or has the target write, somewhere: kept
    there, what they gave could be read in clear.
    `reads_constants` is True when reading looked at a constant's value, so that a shape may not be shared.

    Never changed once made: `with_text`, `with_parameters` and `conceding` give another one.
    """

    __slots__ = (
        "bounded", "bounded_keys", "complete", "conceded", "effects", "facts", "filtered", "literals", "opaque_rows",
        "outputs", "parameter_origins", "parameter_types", "parameters", "parameters_read", "protocol",
        "reads_constants", "relations", "runs", "stored_calls", "text", "uses", "verbs", "version", "writes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        protocol: str,
        text: str,
        verbs: tuple[str, ...] = (),
        effects: tuple[Effect, ...] = (),
        complete: bool = True,
        conceded: str = "",
        parameters: tuple[str | None, ...] | None = (),
        parameters_read: bool = True,
        outputs: tuple[Output, ...] | None = None,
        opaque_rows: bool = False,
        uses: tuple[Use, ...] = (),
        stored_calls: tuple[str, ...] = (),
        relations: tuple[Relation, ...] = (),
        writes: bool = False,
        filtered: bool = False,
        bounded: bool = False,
        bounded_keys: int | None = None,
        reads_constants: bool = False,
        literals: tuple[Literal, ...] = (),
        parameter_origins: dict[int, tuple[Origin, ...]] = _NO_ORIGINS,
        version: str = "",
        facts: dict[str, Any] = _NO_FACTS,
        parameter_types: tuple[int, ...] = (),
        runs: Statement | None = None,
    ) -> None:
        self.protocol = protocol
        self.text = text
        self.verbs = verbs
        self.effects = effects
        self.complete = complete
        self.conceded = conceded
        self.parameters = parameters
        self.parameters_read = parameters_read
        self.outputs = outputs
        self.opaque_rows = opaque_rows
        self.uses = uses
        self.stored_calls = stored_calls
        self.relations = relations
        self.writes = writes
        self.filtered = filtered
        self.bounded = bounded
        self.bounded_keys = bounded_keys
        self.reads_constants = reads_constants
        self.literals = literals
        self.parameter_origins = parameter_origins
        self.version = version  # of the names it was read under (catalog, search path)
        self.facts = facts
        self.parameter_types = parameter_types
        self.runs = runs

    def __repr__(self) -> str:
        return f"Statement({self.protocol!r}, {self.text!r}, verbs={self.verbs!r}, effects={self.effects!r})"

    def parts(self) -> int:
        """Return of how many parts it is made, as a measure of its memory."""
        count = 1 + len(self.effects) + len(self.outputs or ()) + len(self.uses) + len(self.literals)
        for effect in self.effects:
            count += len(effect.columns or ())
        for relation in self.relations:
            count += len(relation.columns)
        return count

    def with_text(self, text: str) -> Statement:
        """Return the same meaning of another text."""
        made = self._copy()
        made.text = text
        return made

    def with_parameters(
        self, parameters: tuple[str | None, ...], read: bool = True, types: tuple[int, ...] = ()
    ) -> Statement:
        """Return the same with its parameters known; `read`: every one as the target takes it; `types`: as declared."""
        made = self._copy()
        made.parameters = parameters
        made.parameters_read = read
        made.parameter_types = types
        return made

    def conceding(self, why: str) -> Statement:
        """Return the same, not completely read."""
        made = self._copy()
        made.complete = False
        made.conceded = why
        return made

    def _copy(self) -> Statement:
        return Statement(
            protocol=self.protocol, text=self.text, verbs=self.verbs, effects=self.effects, complete=self.complete,
            conceded=self.conceded, parameters=self.parameters, parameters_read=self.parameters_read,
            outputs=self.outputs, opaque_rows=self.opaque_rows, uses=self.uses, stored_calls=self.stored_calls,
            relations=self.relations, writes=self.writes, filtered=self.filtered, bounded=self.bounded,
            bounded_keys=self.bounded_keys, reads_constants=self.reads_constants, literals=self.literals,
            parameter_origins=self.parameter_origins, version=self.version, facts=self.facts,
            parameter_types=self.parameter_types, runs=self.runs,
        )  # fmt: skip
