"""Stands for the package where a launcher is started as a script: `python PATH/experiments/run.py`, from anywhere.

Python then looks for modules beside the script, and finds this file under the package's name; it gives way to the
package.
"""

import importlib
import pathlib
import sys

if __name__ == "experiments":
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    del sys.modules[__name__]
    importlib.import_module(__name__).begin()
