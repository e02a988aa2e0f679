"""Multilingual models that keep learning after they ship.

An `Engine` opens ONNX Runtime, a `Store` holds adapter versions on disk, and a `Model` is a bundle
on that engine with that store. A model predicts, and an `Update` trains it on labelled examples
without making any language worse. Results are plain Python values.

Failures are exceptions with stable names (`polygraft.errors`). Methods may be called from several
threads at once, except those of one `Update`. Everything that is opened is closed by `close` or by
a `with` statement.
"""

from polygraft import errors
from polygraft._library import build_info, version
from polygraft._log import LogLine
from polygraft.engine import Cancel, Engine
from polygraft.errors import CancelledError, Error, LibraryNotFoundError
from polygraft.evaluation import Evaluation, Score
from polygraft.examples import Examples
from polygraft.exchange import Imported, combine_adapters, stack_adapters
from polygraft.inputs import Input, Pair, TextSpan, Words
from polygraft.inspection import (
    ChainStep,
    Check,
    Diagnosis,
    ExamplesStatistics,
    StoreStatistics,
    TaskStatistics,
    diagnose,
    verify_bundle,
)
from polygraft.model import Model
from polygraft.names import (
    Activation,
    AdapterFormat,
    AdapterKind,
    Candidate,
    CheckState,
    Decision,
    Distance,
    FinishReason,
    ImportActivation,
    LogSeverity,
    Mode,
    Phase,
    Placement,
    ReasonKind,
    Sharing,
    StepKind,
    Strategy,
    SubLayers,
    TaskKind,
    Verify,
)
from polygraft.options import (
    ExportOptions,
    ImportOptions,
    ModelOptions,
    PredictOptions,
    UpdateOptions,
)
from polygraft.prediction import Label, Prediction, Span, Word
from polygraft.progress import Progress, ProgressBar
from polygraft.report import LanguageReport, Report, Summary, Training
from polygraft.rounds import Round, read_round
from polygraft.store import Store, Version, Wiped
from polygraft.update import Update

__all__ = [
    "Activation",
    "AdapterFormat",
    "AdapterKind",
    "Cancel",
    "CancelledError",
    "Candidate",
    "ChainStep",
    "Check",
    "CheckState",
    "Decision",
    "Diagnosis",
    "Distance",
    "Engine",
    "Error",
    "Evaluation",
    "Examples",
    "ExamplesStatistics",
    "ExportOptions",
    "FinishReason",
    "ImportActivation",
    "ImportOptions",
    "Imported",
    "Input",
    "Label",
    "LanguageReport",
    "LibraryNotFoundError",
    "LogLine",
    "LogSeverity",
    "Mode",
    "Model",
    "ModelOptions",
    "Pair",
    "Phase",
    "Placement",
    "PredictOptions",
    "Prediction",
    "Progress",
    "ProgressBar",
    "ReasonKind",
    "Report",
    "Round",
    "Score",
    "Sharing",
    "Span",
    "StepKind",
    "Store",
    "StoreStatistics",
    "Strategy",
    "SubLayers",
    "Summary",
    "TaskKind",
    "TaskStatistics",
    "TextSpan",
    "Training",
    "Update",
    "UpdateOptions",
    "Verify",
    "Version",
    "Wiped",
    "Word",
    "Words",
    "build_info",
    "combine_adapters",
    "diagnose",
    "errors",
    "read_round",
    "stack_adapters",
    "verify_bundle",
    "version",
]
