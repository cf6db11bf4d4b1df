# # A study in Python
#
# A small search on the phantom cohort: which of three losses helps to see change within a patient? With scans
# of your own, give `data="scans/manifest.csv"`. The same file again resumes what is unfinished and repeats
# nothing.

# +
import logging
import os

from learner_ray import Experiment, SweepOptions

logging.basicConfig(level=logging.WARNING, format="%(message)s")
logging.getLogger("learner_ray").setLevel(logging.INFO)  # shows each run as it ends

options = SweepOptions(
    profile="laptop",
    folds=2,
    trials=int(os.environ.get("QUICKSTART_TRIALS", "3")),
    epochs=int(os.environ.get("QUICKSTART_EPOCHS", "8")),
    set={"data.image_size": int(os.environ.get("QUICKSTART_PIXELS", "64"))},
)
data = os.environ.get("QUICKSTART_DATA")  # without it: the phantom cohort, made once
experiment = Experiment("lus", data=data, out="results/quickstart", options=options)
# -

# Runs, hours, and the smallest difference that a study of this size could find:

print(experiment.plan())

# Search each arm, train the selected configurations anew, and test them on patients nobody has seen:

print(experiment.run())

# The numbers behind the table, and every run:

# +
table = experiment.table()
print(table[["label", "macro_f1_value", "difference", "verdict"]])
print(experiment.runs().groupby("state").size())
