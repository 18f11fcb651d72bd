"""Data in and out: TFRecords, IDX and npy files, the download, the synthetic default."""
