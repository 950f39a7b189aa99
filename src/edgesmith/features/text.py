"""Read a feature back from the text that names it in manifests and edges: `imbalance_ema(period=20)`."""

from __future__ import annotations

import ast

from edgesmith.compiled import parsed
from edgesmith.errors import InputError
from edgesmith.features.catalog import feature
from edgesmith.features.operator import FeatureSpec


def parse_feature(text: str) -> FeatureSpec:
    """Return the feature `text` names; a bare name takes every default."""
    try:
        node = parsed(text.strip(), "eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Name):
        return feature(node.id)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args):
        raise InputError(f"feature was '{text}', expected a name with its parameters such as imbalance_ema(period=20)")
    try:
        params = {str(one.arg): ast.literal_eval(one.value) for one in node.keywords}
    except ValueError:
        raise InputError(f"feature was '{text}', expected numbers as parameters, such as imbalance_ema(period=20)") from None
    if len(params) < len(node.keywords):
        raise InputError(f"feature was '{text}', expected every parameter once")
    return feature(node.func.id, **params)
