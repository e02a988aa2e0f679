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
from polygraft.engine import Cancel, Engine
from polygraft.errors import CancelledError, Error, LibraryNotFoundError
from polygraft.inputs import Input, Pair, TextSpan, Words
from polygraft.model import Model
from polygraft.names import (
    Activation,
    AdapterKind,
    Candidate,
    Decision,
    Distance,
    FinishReason,
    Mode,
    Phase,
    Placement,
    ReasonKind,
    Sharing,
    Strategy,
    SubLayers,
    TaskKind,
    Verify,
)
from polygraft.options import ModelOptions, PredictOptions, UpdateOptions
from polygraft.prediction import Label, Prediction, Span, Word
from polygraft.progress import Progress, ProgressBar
from polygraft.report import LanguageReport, Report, Summary, Training
from polygraft.store import Store, Version
from polygraft.update import Update

__all__ = [
    "Activation",
    "AdapterKind",
    "Cancel",
    "CancelledError",
    "Candidate",
    "Decision",
    "Distance",
    "Engine",
    "Error",
    "FinishReason",
    "Input",
    "Label",
    "LanguageReport",
    "LibraryNotFoundError",
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
    "Sharing",
    "Span",
    "Store",
    "Strategy",
    "SubLayers",
    "Summary",
    "TaskKind",
    "TextSpan",
    "Training",
    "Update",
    "UpdateOptions",
    "Verify",
    "Version",
    "Word",
    "Words",
    "build_info",
    "errors",
    "version",
]
