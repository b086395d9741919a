"""Outcomes of two searches side by side, as `tests/methods.rs` compares them; the bounds are `tests/methods/tolerances.json`."""
import json, math, pathlib

TOLERANCES = json.load(open(pathlib.Path(__file__).parent.parent / "methods/tolerances.json"))


def outcomes(events, found):
    """What came out, from the events of a trace; `found`: the genotype that was printed."""
    list_ = []
    for e in events:
        kind = e["event"]
        if kind in ("train", "loss"): list_.append({"event": kind, "loss": e["loss"]})
        if kind == "sgd": list_.append({"event": kind, **e["settings"]})
        if kind == "adam": list_.append({"event": kind, "values": e["values"]})
        if kind == "variable": list_.append({"event": kind, "values": e["values"]})
        if kind == "iim": list_.append({"event": kind, "scores": e["scores"]})
        if kind == "evaluation": list_.append({"event": kind, "loss": e["loss"], "accuracy": e["accuracy"]})
        if kind == "drop": list_.append({"event": kind, "candidates": sorted(e["candidates"])})
        if kind == "weights": list_.append({"event": kind, "sketches": e["sketches"]})
    return list_ + [{"event": "genotype", "text": found}]


def in_order(events):
    """Drops that follow each other count as one; weights stand apart: they may be written before or after a drop."""
    list_ = []
    for e in events:
        if e["event"] == "weights": continue
        if e["event"] == "drop" and list_ and list_[-1]["event"] == "drop":
            list_[-1] = {"event": "drop", "candidates": sorted(list_[-1]["candidates"] + e["candidates"])}
        elif e["event"] != "drop" or e["candidates"]: list_.append(e)
    return list_, [e for e in events if e["event"] == "weights"]


def flat(v):
    return [x for row in v for x in flat(row)] if isinstance(v, list) else [float(v)]


def relative(got, want):
    if got == want or (math.isnan(got) and math.isnan(want)): return 0.0
    d = abs(got - want) / abs(want) if want else math.inf
    return math.inf if math.isnan(d) else d


def deviation(kind, got, want):
    """What is compared, by which bound, and how far apart it is."""
    if kind in ("train", "loss"): yield "loss", relative(got["loss"], want["loss"])
    if kind == "evaluation":
        yield "loss", relative(got["loss"], want["loss"])
        yield "same", float(abs(got["accuracy"] - want["accuracy"]) > 1e-9)
    if kind == "sgd":
        for k in want.keys() - {"event"}: yield "settings", relative(float(got[k]), float(want[k]))
    if kind == "adam":
        g, w = flat(got["values"]), flat(want["values"])
        yield "alpha", max(abs(a - b) for a, b in zip(g, w, strict=True)) / max(map(abs, w))
    if kind == "variable":
        for g, w in zip(got["values"], want["values"], strict=True):
            g, w = flat(g), flat(w)
            yield "alpha", max(abs(a - b) for a, b in zip(g, w, strict=True)) / max(map(abs, w))
    if kind == "iim":
        for a, b in zip(flat(got["scores"]), flat(want["scores"]), strict=True): yield "iim", relative(a, b)
    if kind == "drop": yield "same", float(got["candidates"] != want["candidates"])
    if kind == "genotype": yield "same", float(got["text"] != want["text"])
    if kind == "weights":
        if got["sketches"].keys() != want["sketches"].keys(): yield "same", 1.0
        for k, w in want["sketches"].items():
            yield "weights", max(abs(a - b) for a, b in zip(got["sketches"][k], w)) / max(w[0], 1e-3)


def compare(got, want, share=1.0):
    """The first deviation beyond `share` of its bound, in words, or None; and the worst of each bound."""
    (got, got_weights), (want, want_weights) = in_order(got), in_order(want)
    kinds = [[e["event"] for e in list_] for list_ in (got + got_weights, want + want_weights)]
    worst = {}
    if kinds[0] != kinds[1]:
        i = next((i for i, (a, b) in enumerate(zip(*kinds)) if a != b), min(map(len, kinds)))
        return f"event {i}: {kinds[0][i:i + 3]}, not {kinds[1][i:i + 3]}", worst
    for i, (g, w) in enumerate(zip(got + got_weights, want + want_weights)):
        for bound, d in deviation(g["event"], g, w):
            worst[bound] = max(worst.get(bound, 0.0), d)
            if d > share * TOLERANCES.get(bound, 0.0):
                return f"event {i}, {g['event']}: {bound} is off by {d:.2e}", worst
    return None, worst
