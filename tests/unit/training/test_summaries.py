import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.training.summaries import Summaries, hparams_shown, write_images

METRICS = ("test_accuracy", "test_loss")

pytestmark = pytest.mark.tensorflow


def test_scalars_are_written_as_tensorboard_reads_them(tmp_path):
    summaries = Summaries(str(tmp_path / "logs"))
    summaries.write(3, loss=0.5, images_per_second=100.0)
    # Readable while the run goes on.
    found = read(tmp_path / "logs")
    assert found == {("loss", 3): 0.5, ("images_per_second", 3): 100.0}
    summaries.write(4, loss=0.25)
    summaries.close()
    assert read(tmp_path / "logs")["loss", 4] == 0.25


def test_no_folder_is_nothing_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    summaries = Summaries(None)
    summaries.write(1, loss=1.0)
    summaries.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_leaves_each_point_once(tmp_path):
    for first, last, loss in ((0, 5, 0.5), (3, 6, 0.25)):
        summaries = Summaries(str(tmp_path))
        summaries.begin(first)
        for step in range(first + 1, last + 1):
            summaries.write(step, loss=loss)
        summaries.close()
    found = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    points = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in found.Tensors("loss")]
    assert points == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.25), (5, 0.25), (6, 0.25)]


def test_hyperparameters_are_those_of_tensorboard_and_secrets_are_masked(tmp_path):
    hparams = Hparams(model="fast", learning_rate=0.25, hp=(("api_token", "swordfish"),))
    summaries = Summaries(str(tmp_path))
    summaries.write_hparams(hparams_shown(Job(hparams=hparams, steps=7)), METRICS)
    summaries.write_success()
    summaries.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    content = found.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    assert values["model"].string_value == "fast"
    assert (values["learning_rate"].number_value, values["steps"].number_value) == (0.25, 7)
    assert values["hp.api_token"].string_value == "***"
    content = found.summary_metadata[metadata.EXPERIMENT_TAG].plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert [each.name.tag for each in experiment.metric_infos] == ["test_accuracy", "test_loss"]
    assert {each.name for each in experiment.hparam_infos} == set(values)
    assert metadata.SESSION_END_INFO_TAG in found.summary_metadata


def test_without_tensorboard_hyperparameters_are_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    summaries = Summaries(str(tmp_path))
    with caplog.at_level("DEBUG", logger="trainer"):
        summaries.write_hparams({"seed": 0}, METRICS)
        summaries.write_success()
    summaries.write(1, loss=1.0)
    assert read(tmp_path) == {("loss", 1): 1.0}
    assert [r.getMessage() for r in caplog.records].count(
        "no hyperparameters for TensorBoard, as it is not installed"
    ) == 1


def read(folder) -> dict:
    (file,) = folder.glob("events.out.tfevents.*")
    found = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_images_stand_beside_the_scalars_of_the_run(tmp_path):
    summaries = Summaries(str(tmp_path))
    summaries.write(4, loss=0.5)
    summaries.close()
    images = [np.full((28, 28, 1), 9 * number, np.uint8) for number in range(24)]
    write_images(str(tmp_path), 4, images)
    found = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    (event,) = found.Tensors("worst_test_images")
    size, pngs = event.tensor_proto.string_val[:2], event.tensor_proto.string_val[2:]
    assert (event.step, size) == (4, [b"28", b"28"])
    assert np.array_equal([tf.io.decode_png(png).numpy() for png in pngs], images)
    assert [each.step for each in found.Tensors("loss")] == [4]
