"""Move days of a lake behind the vault's door, read them with a token, and move them back.

A vaulted partition lies under `<lake>/vault/generation=<n>/`, and its meta has another name: no catalog finds it, wherever it is
pointed at. Only `edges.vault` may import this module (the import contract says so): it writes down why before it reads.
Every step can be interrupted and done again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgesmith.canonical import canonical_json
from edgesmith.errors import CorruptDataError, InputError
from edgesmith.lake.atomic import locked_folder, write_atomically
from edgesmith.lake.catalog import Partition
from edgesmith.lake.held import HELD_NAME, VAULT_FOLDER, Held, read_held
from edgesmith.lake.schema import META_NAME, PartitionKey, read_meta

SEALED_META_NAME = "sealed.json"


class OpeningToken:
    """The right to read one generation, for one sealed record; only `Vault.open` makes one."""

    __slots__ = ("generation", "seal_hash")

    def __init__(self, generation: int, seal_hash: str) -> None:
        self.generation = generation
        self.seal_hash = seal_hash


def vault_folder(root: Path) -> Path:
    """Return the folder of the vault of the lake at `root`."""
    return root / VAULT_FOLDER


def note_held(root: Path, held: Held) -> None:
    """Hide the days from every catalog from now on."""
    folder = vault_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / HELD_NAME, lambda path: _write_bytes(path, canonical_json(held)))


def forget_held(root: Path) -> None:
    """Show the days again to every catalog."""
    (vault_folder(root) / HELD_NAME).unlink(missing_ok=True)


def move_in(root: Path, held: Held, keys: Sequence[PartitionKey]) -> None:
    """Move partitions into the vault, and remove what was computed from their days; what is moved already stays."""
    for key in keys:
        source, target = key.folder(root), _folder(root, held.generation, key)
        if source.is_dir() and not target.exists():
            with locked_folder(source):
                meta = source / META_NAME
                if meta.exists():
                    meta.rename(source / SEALED_META_NAME)
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
    _remove_computed(root, keys)


def move_out(root: Path, generation: int, keys: Sequence[PartitionKey]) -> None:
    """Move partitions back into the lake; what is moved already stays."""
    for key in keys:
        source, target = _folder(root, generation, key), key.folder(root)
        if source.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        sealed = target / SEALED_META_NAME
        if sealed.exists():
            sealed.rename(target / META_NAME)
    shutil.rmtree(vault_folder(root) / f"generation={generation}", ignore_errors=True)


def vaulted_partitions(root: Path, token: OpeningToken, keys: Iterable[PartitionKey]) -> list[Partition]:
    """Return the vaulted partitions `keys`, readable like any others."""
    held = read_held(root)
    if held is None or held.generation != token.generation:
        raise InputError(f"the token is for generation {token.generation} of the vault, which is not the one that is held")
    found = []
    for key in sorted(keys):
        folder = _folder(root, token.generation, key)
        meta = read_meta(folder, SEALED_META_NAME)
        if meta is None or meta.key != key:
            raise CorruptDataError(f"{folder} does not hold {key} any more; restore it from a backup")
        found.append(Partition(key, folder, meta))
    return found


def _folder(root: Path, generation: int, key: PartitionKey) -> Path:
    return key.folder(vault_folder(root) / f"generation={generation}")


def _remove_computed(root: Path, keys: Sequence[PartitionKey]) -> None:
    # Features and panels of a day tell what happened on it. They lie in .../exchange=/symbol=/date= of other folders of the lake.
    wanted = {(f"exchange={key.venue}", f"symbol={key.symbol.lower()}", f"date={key.day:%Y%m%d}") for key in keys}
    for top in root.iterdir():
        if not top.is_dir() or top.name == VAULT_FOLDER or top.name.startswith("exchange="):
            continue
        for folder in list(top.rglob("date=*")):
            if (*_parts(folder, "exchange="), *_parts(folder, "symbol="), folder.name) in wanted:
                shutil.rmtree(folder, ignore_errors=True)


def _parts(folder: Path, name: str) -> tuple[str, ...]:
    return tuple(part for part in folder.parts if part.startswith(name))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
