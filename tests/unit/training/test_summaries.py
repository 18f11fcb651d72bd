import pytest
import tensorflow as tf

from trainer.training.summaries import Summaries

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


def read(folder) -> dict:
    (file,) = folder.glob("events.out.tfevents.*")
    found = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found
