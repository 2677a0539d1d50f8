"""`checkrein.yaml`: what it may say (`model`), what that resolves to (`values`), and how (`load`).

A package beside `app`, imported by `app` and `cli` alone. It opens no file but the one that it is told to read.
"""

from checkrein.config.load import load_config, read_config
from checkrein.config.values import Config

__all__ = ["Config", "load_config", "read_config"]
