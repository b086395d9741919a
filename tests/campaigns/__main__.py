"""python3 tests/campaigns PROGRAM [NAME ...] [--long | --tries N | --number N] [--seed S] [--record FILE] | --lies

Without more: the short form of all campaigns. `--lies` shows that each campaign notices a program that misbehaves.
Exit code 0 if no try failed (or every lie was noticed).
"""
import argparse
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import harness
from liar import LIES, command

import files, folders, genotypes, kills, pickles, pictures, prompt, scripts, servers, settings, strangers, streams
import terminal, threads, together, weights, words, writes

ALL = [kills.Kills, folders.Folders, folders.Forged, writes.Writes, writes.Limits, weights.Weights, pictures.Pictures,
       files.Idx, pickles.Pickles, genotypes.Genotypes, scripts.Scripts, settings.Settings, prompt.Prompt, terminal.Terminal,
       words.Words, servers.Servers, strangers.Strangers, together.Together, streams.Streams, threads.Threads]


def say(line):
    print(line, flush=True)


def campaign_of(kind, options, work):
    folder = work / kind.name
    folder.mkdir(parents=True)
    return kind(harness.Host(options.program, folder, options.patience), folder)


def conduct(kinds, options, work):
    """All tries of all campaigns; whether none failed."""
    record, total = harness.Record(options.record, options.program), [0, 0]
    for kind in kinds:
        start = time.time()
        many = options.tries or (kind.long if options.long else kind.short)
        numbers = range(many) if options.number is None else [options.number]
        try:
            tries, failed = harness.conduct(campaign_of(kind, options, work), options.seed, numbers, record, say)
        except harness.Skip as why:
            say(f"{kind.name}: SKIPPED: {why}")
            continue
        say(f"{kind.name}: {tries} tries, {failed} failures, {time.time() - start:.1f} s")
        total[0] += tries
        total[1] += failed
    say(f"{total[0]} tries, {total[1]} failures, seed {options.seed}")
    return total[1] == 0


def lies(kinds, options, work):
    """Whether every campaign notices every lie within a few tries."""
    deaf = []
    for kind in kinds:
        campaign = campaign_of(kind, options, work)
        try:
            campaign.prepare()
        except harness.Skip as why:
            say(f"{kind.name}: SKIPPED: {why}")
            continue
        noticed = []
        for lie in [*LIES["all"], *kind.lies]:
            campaign.host.command = command(lie, options.program)
            campaign.host.patience, campaign.host.most = (0.05, 2048) if lie == "hang" else (1.0, 60 if lie == "fat" else 2048)
            found = next((f for f in (harness.try_once(campaign, 1, n) for n in range(6)) if f), None)
            good = found and not found.startswith("the campaign itself")
            noticed.append(lie) if good else deaf.append((kind.name, lie, found))
        say(f"{kind.name}: notices {', '.join(noticed)}")
    for name, lie, found in deaf:
        say(f"{name}: DEAF to a program that would {lie}: {found}")
    return not deaf


def main():
    parser = argparse.ArgumentParser(prog="python3 tests/campaigns")
    parser.add_argument("program", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("names", nargs="*", help="of campaigns: " + " ".join(kind.name for kind in ALL))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--lies", action="store_true")
    parser.add_argument("--list", action="store_true", help="the names alone")
    parser.add_argument("--tries", type=int)
    parser.add_argument("--number", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("--patience", type=float, default=1.0, help="factor of all time limits, for a machine that is busy")
    options = parser.parse_intermixed_args()
    if options.list:
        print("\n".join(kind.name for kind in ALL))
        return
    unknown = set(options.names) - {kind.name for kind in ALL}
    if unknown:
        parser.error(f"got {' '.join(sorted(unknown))}, expected names of campaigns: {' '.join(k.name for k in ALL)}")
    kinds = [kind for kind in ALL if not options.names or kind.name in options.names]
    with tempfile.TemporaryDirectory(prefix="campaigns-") as work:
        os.chmod(work, 0o755)
        good = (lies if options.lies else conduct)(kinds, options, pathlib.Path(work))
    sys.exit(0 if good else 1)


main()
