"""Runs the words of the image: python -m alnair_operator WORD."""

import os
import sys

from alnair_operator.commands import main

code = main()
sys.stdout.flush()
sys.stderr.flush()
# The JVM's threads would outlive this one.
os._exit(code)
