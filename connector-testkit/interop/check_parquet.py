"""Reads Bronze as a stranger does: check_parquet.py BRONZE_FOLDER

Each reader that is installed (pyarrow, duckdb) reads every data file and has to come to the same numbers.
"""

import os
import sys

ENVELOPE = (
    "tenant connector connector_version connection stream partition run_id sequence operation key cursor epoch "
    "generation extracted_at source_timestamp schema_fingerprint changes record"
).split()
OPERATIONS = {"upsert", "delete", "snapshot", "reset"}
NEEDED = ["tenant", "connection", "stream", "partition", "epoch", "sequence", "operation"]


def data_files(folder):
    """Names that start with `.` or `_` or end in `.tmp` are not data."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(files):
            if name.endswith(".parquet") and not name.startswith((".", "_")):
                found.append(os.path.join(parent, name))
    return found


def by_pyarrow(files):
    import pyarrow.parquet as parquet

    columns, rows = [], []
    for file in files:
        # Read as one file: folders are values, not `name=value`, and add no columns.
        table = parquet.ParquetFile(file)
        columns.append(table.schema_arrow.names)
        rows.extend(zip(*(table.read(columns=[name])[name].to_pylist() for name in NEEDED)))
    return columns, rows


def by_duckdb(files):
    import duckdb

    connection = duckdb.connect()
    columns, rows = [], []
    for file in files:
        source = connection.read_parquet(file, hive_partitioning=False)
        columns.append(source.columns)
        chosen = ", ".join(f'"{name}"' for name in NEEDED)
        rows.extend(source.project(chosen).fetchall())
    return columns, rows


def problems(files, columns, rows):
    for file, names in zip(files, columns):
        if names[: len(ENVELOPE)] != ENVELOPE:
            yield f"{file}: the columns are {names}"
    numbers = {}
    seen = set()
    for tenant, connection, stream, partition, epoch, sequence, operation in rows:
        place = (tenant, connection, stream, partition)
        if operation not in OPERATIONS:
            yield f"{place}: operation {operation!r} at sequence {sequence}"
        if (place, epoch, sequence) in seen:
            yield f"{place}: sequence {sequence} of epoch {epoch} stands there twice"
        seen.add((place, epoch, sequence))
        numbers.setdefault(place, []).append(sequence)
    for place, sequences in sorted(numbers.items()):
        sequences.sort()
        for expected, sequence in enumerate(sequences, start=1):
            if sequence != expected:
                yield f"{place}: sequence {expected} is missing, {sequence} comes in its place"
                break


def main(folder):
    files = data_files(folder)
    if not files:
        print(f"FAIL no Parquet files below {folder}")
        return 1
    counts, failures, readers = {}, 0, 0
    for name, read in (("pyarrow", by_pyarrow), ("duckdb", by_duckdb)):
        try:
            columns, rows = read(files)
        except ImportError:
            print(f"SKIP {name} is not installed")
            continue
        readers += 1
        found = list(problems(files, columns, rows))
        failures += len(found)
        for problem in found[:20]:
            print(f"FAIL {name}: {problem}")
        if not found:
            print(f"PASS {name}: {len(files)} files, {len(rows)} rows, envelope and numbering are right")
        counts[name] = {}
        for row in rows:
            counts[name][row[2]] = counts[name].get(row[2], 0) + 1
    for stream, count in sorted(next(iter(counts.values()), {}).items()):
        print(f"     {stream}: {count} rows")
    if len(counts) == 2:
        same = counts["pyarrow"] == counts["duckdb"]
        failures += not same
        print(("PASS" if same else "FAIL") + " both readers count the same")
    if not readers:
        print("FAIL neither pyarrow nor duckdb could be had")
    return 1 if failures or not readers else 0


sys.exit(main(sys.argv[1]))
