"""The settings: read once, at the start, from the environment, ``.env`` and a YAML file, and then never changed.

The only part of the program that reads environment and configuration. ``load`` gives a frozen ``Settings``; what
cannot be understood is a ``StartupProblem``. Nothing that was written is dropped in silence: it acts, or it is named
in ``Settings.not_yet`` or ``Settings.notices``, or it stops the start.
"""

from orcestator.settings.children import WITHHELD, child_environment, spoken_variables
from orcestator.settings.choices import ModelEntry, ProviderSetting, Target
from orcestator.settings.loading import load
from orcestator.settings.settled_files import when_still
from orcestator.settings.table import Settings

__all__ = [
    "WITHHELD",
    "ModelEntry",
    "ProviderSetting",
    "Settings",
    "Target",
    "child_environment",
    "load",
    "spoken_variables",
    "when_still",
]
