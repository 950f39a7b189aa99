"""What an analysis of features established, as plain records that go to `features_report.json` and come back.

alpha = 0.4 importance_term + 0.3 correlation_term + 0.3 stability_term, each term in [0, 1] over the features analyzed. A high
alpha is a place in a ranking, not a proof: `verdict` says whether the label correlation can be told from 0 at all. The whole
range `first_ns` to `last_ns` has been looked at, held-out part included; a strategy chosen by it is judged on data after it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgesmith.canonical import canonical_json
from edgesmith.errors import CorruptDataError, InputError

SCHEMA_VERSION = 1
REPORT_FILE = "features_report.json"

TOLD = "told from 0"
TOLD_ALONE = "told from 0 alone, not among so many"
NOT_TOLD = "not told from 0"
TOO_FEW_BLOCKS = "too few blocks to tell"
# Verdicts as a table has room for them.
SHORT_WORDS = {TOLD_ALONE: "told alone", TOO_FEW_BLOCKS: "too few blocks"}


class FeatureScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature with its rank.

    Parameters
    ----------
    importance : how much out-of-sample R^2 is lost when its values are permuted in blocks
    label_correlation : rank correlation with the label on train rows; `correlation_low` and `correlation_high` bound it with
        95 % confidence, or are -1 and 1 where there are too few blocks
    stability : [0, 1], 1 is a feature whose distribution and whose correlation's sign are the same in every period
    median, scale : center and IQR / 1.349 on train rows; scale > 0
    direction : sign of the label correlation, +1 or -1; 0 if it is exactly 0
    """

    column: str
    feature: str
    params: dict[str, float]
    importance: float
    label_correlation: float
    correlation_low: float
    correlation_high: float
    stability: float
    importance_term: float
    correlation_term: float
    stability_term: float
    alpha: float
    median: float
    scale: float
    direction: int
    verdict: str = NOT_TOLD

    @property
    def told_from_zero(self) -> bool:
        """Tell whether the interval of the label correlation leaves 0 out."""
        return self.correlation_low > 0.0 or self.correlation_high < 0.0


class TimeSplit(msgspec.Struct, frozen=True, kw_only=True):
    """Which decision times trained and which were held out; a label that reaches over the border belongs to neither."""

    split_ns: int
    reach_ns: int
    embargo_ns: int
    train_rows: int
    train_last_ns: int | None
    held_out_rows: int
    held_out_first_ns: int | None


class LabelSection(msgspec.Struct, frozen=True, kw_only=True):
    """The label itself: gross move over the horizon in bps, and how its classes up, flat, down are balanced.

    `imbalance_ratio` is the largest class over the smallest that is not empty, `entropy_ratio` the entropy over that of even
    classes, `drift_ratios` half the L1 distance of each period's classes to the train rows' ones, in [0, 1].
    """

    rows: int
    missing_rows: int
    up: int
    flat: int
    down: int
    imbalance_ratio: float | None
    entropy_ratio: float
    balance: str
    mean_bps: float
    sd_bps: float
    excess_kurtosis: float
    quantiles_bps: tuple[float, ...]
    cost_bps: float
    needed_ic: float | None
    autocorrelation_lags_ns: tuple[int, ...]
    autocorrelation: tuple[float | None, ...]
    drift_ratios: tuple[float | None, ...]
    drift: str


class Cluster(msgspec.Struct, frozen=True):
    """Features that say nearly the same: every one correlates with the first at least as the threshold says."""

    columns: tuple[str, ...]
    kept: str


class CorrelationSection(msgspec.Struct, frozen=True, kw_only=True):
    """How features move together; matrices are in the order of `columns`, None where a feature never varied.

    `redundancy` is the mean of a feature's five largest absolute correlations (rank), `pairs` those at least `pair_threshold`.
    """

    columns: tuple[str, ...]
    pearson: tuple[tuple[float | None, ...], ...]
    spearman: tuple[tuple[float | None, ...], ...]
    redundancy: tuple[float | None, ...]
    pair_threshold: float
    pairs: tuple[tuple[str, str, float], ...]
    cluster_threshold: float
    clusters: tuple[Cluster, ...]


class LabelCorrelation(msgspec.Struct, frozen=True, kw_only=True):
    """A feature against the label on train rows: rank correlation with its interval, and what stands behind it.

    `rows_effective` is how many independent rows would give as narrow an interval; `p` and `p_family` are sign-flip p-values,
    alone and as one of all the features; `held_out` is the same correlation where nothing was fitted.
    """

    column: str
    spearman: float | None
    low: float
    high: float
    pearson: float | None
    pearson_low: float
    pearson_high: float
    rows: int
    rows_effective: float
    blocks: int
    blocks_effective: float
    p: float | None
    p_family: float | None
    held_out: float | None
    strength: str
    verdict: str


class Importance(msgspec.Struct, frozen=True):
    """Loss of out-of-sample R^2 when one feature is permuted, with its 95 % interval; None where there are too few blocks."""

    column: str
    mean: float
    low: float | None
    high: float | None
    weight: float | None
    verdict: str


class ImportanceSection(msgspec.Struct, frozen=True, kw_only=True):
    """A model trained on train rows and judged on held-out ones; `ic` is the rank correlation of forecast and label."""

    model: str
    settings: dict[str, float]
    train_rows: int
    held_out_rows: int
    block_ns: int
    blocks: int
    repeats: int
    r2_train: float | None
    r2: float | None
    ic: float | None
    ic_low: float
    ic_high: float
    sentence: str
    features: tuple[Importance, ...]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a feature over all rows; `quantiles` are those of `FeatureReport.quantile_levels`, by an even sample.

    `outlier_ratio` counts values beyond 1.5 IQR from the quartiles; `psi` compares held-out with train rows.
    """

    column: str
    rows: int
    missing_ratio: float
    levels: int | None
    mean: float | None
    sd: float | None
    skewness: float | None
    excess_kurtosis: float | None
    minimum: float | None
    maximum: float | None
    quantiles: tuple[float, ...]
    outlier_ratio: float | None
    psi: float | None
    notes: tuple[str, ...]


class Stability(msgspec.Struct, frozen=True, kw_only=True):
    """PSI of a feature against its train rows, and its label correlation, by period and by regime; None where too few rows."""

    column: str
    psi_by_period: tuple[float | None, ...]
    psi_by_regime: tuple[float | None, ...]
    psi_worst: float | None
    correlation_by_period: tuple[float | None, ...]
    correlation_by_regime: tuple[float | None, ...]
    sign_agreement_ratio: float | None
    stability: float
    word: str


class StabilitySection(msgspec.Struct, frozen=True, kw_only=True):
    """The periods and regimes features were compared over."""

    period_ns: int
    period_starts_ns: tuple[int, ...]
    regime_column: str
    regimes: tuple[str, ...]
    regime_rows: tuple[int, ...]
    features: tuple[Stability, ...]


class FeatureReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an analysis established; the same bytes for the same data, features and settings.

    `recipe` names the features with their parameters and the code that computes them; `scores` are ranked by alpha,
    the best first. `thinning` is 1 where every decision time is a row, k where every k-th one is.
    """

    instrument: str
    simulated: bool
    data_fingerprint: str
    recipe: str
    first_ns: int
    last_ns: int
    horizon_ns: int
    latency_ns: int
    grid_ns: int
    thinning: int
    seed: int
    rows: int
    scores: tuple[FeatureScore, ...]
    split: TimeSplit
    label: LabelSection
    correlations: CorrelationSection
    label_correlations: tuple[LabelCorrelation, ...]
    importance: ImportanceSection
    quantile_levels: tuple[float, ...]
    distributions: tuple[Distribution, ...]
    stability: StabilitySection
    findings: tuple[str, ...]
    schema_version: int = SCHEMA_VERSION

    def save(self, path: Path) -> Path:
        """Write the report as canonical JSON to `path` (a folder: as `features_report.json` into it); return the file."""
        file = path / REPORT_FILE if path.is_dir() else path
        file.write_bytes(canonical_json(self))
        return file


def load_report(path: Path) -> FeatureReport:
    """Read a report from its file, or from the folder it lies in."""
    file = path / REPORT_FILE if path.is_dir() else path
    try:
        report = msgspec.json.decode(file.read_bytes(), type=FeatureReport)
    except FileNotFoundError:
        raise InputError(f"{file} does not exist; make it with `edgesmith features analyze`") from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptDataError(
            f"{file} is not a feature report ({error}); make it again with `edgesmith features analyze`"
        ) from None
    if report.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{file} has schema version {report.schema_version}, expected {SCHEMA_VERSION}; "
            "make it again with `edgesmith features analyze`"
        )
    return report
