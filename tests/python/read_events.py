"""Prints the scalars of a folder's event files, as TensorBoard's own reader finds them.

    read_events.py FOLDER

JSON: {tag: [[step, value], ...]}. A record whose checksum is wrong ends the reading, so that it and
what follows are missing.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

reader = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
reader.Reload()
json.dump(
    {tag: [[item.step, item.value] for item in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]},
    sys.stdout,
)
