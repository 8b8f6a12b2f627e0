"""Prints the scalars of a folder's event files, as TensorBoard's own reader finds them.

    read_events.py FOLDER [--all]

JSON: {tag: [[step, value], ...]} of the scalars; with --all {"scalars": that, "images": {tag: [height,
width]}, "hparams": {key: value}, "status": of the session's end}, hyper-parameters as TensorBoard's own
plugin decodes them. A record whose checksum is wrong ends the reading, so that it and
what follows are missing.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

reader = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
reader.Reload()
scalars = {tag: [[item.step, item.value] for item in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
if "--all" not in sys.argv:
    json.dump(scalars, sys.stdout)
    sys.exit()


def hparams(tag):
    from tensorboard.plugins.hparams import metadata

    content = reader.summary_metadata[tag].plugin_data.content
    if tag == metadata.SESSION_START_INFO_TAG:
        values = metadata.parse_session_start_info_plugin_data(content).hparams
        return {key: getattr(value, value.WhichOneof("kind")) for key, value in values.items()}
    return metadata.parse_session_end_info_plugin_data(content).status


import io

from PIL import Image

images = {}
for tag in reader.Tags()["images"]:
    item = reader.Images(tag)[0]
    assert Image.open(io.BytesIO(item.encoded_image_string)).size == (item.width, item.height)
    images[tag] = [item.height, item.width]
json.dump({"scalars": scalars, "images": images, "hparams": hparams("_hparams_/session_start_info"),
           "status": hparams("_hparams_/session_end_info")}, sys.stdout)
