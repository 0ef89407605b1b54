"""Settings for every test: no test writes into the learner's own record."""

import os

os.environ["VGLAB_PROGRESS"] = "off"
