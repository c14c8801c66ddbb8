"""Argmax, penalties, masks, counts, logprobs and the sampler: support exact, frequencies by chi-square."""
import numpy as np

from abi import C, K
from reference import log_softmax, survivors

ROW = np.dtype([("seed", "<u8"), ("position", "<i8"), ("temperature", "<f4"), ("top_p", "<f4"), ("min_p", "<f4"),
                ("top_k", "<i4"), ("slot", "<i4"), ("flags", "<i4")])


def rows_of(n, temperature=1.0, top_p=1.0, min_p=0.0, top_k=0, seed=1, position=None):
    rows = np.zeros(n, ROW)
    rows["temperature"], rows["top_p"], rows["min_p"], rows["top_k"] = temperature, top_p, min_p, top_k
    rows["seed"], rows["slot"] = seed, np.arange(n)
    rows["position"] = np.arange(n) if position is None else position
    return rows


def sample(device, logits, rows, logprob=False):
    n, vocab = logits.shape
    tokens, lp = device.full(n, -9, np.int32), device.full(n, np.nan, np.float32)
    last = device.full(max(n, int(rows["slot"].max()) + 1), -5, np.int32)
    device.run("sample", n_rows=n, vocab=vocab, logits=device.buffer(logits.astype(np.float32)),
               rows=device.buffer(rows.view(np.uint8)), tokens=tokens, logprob=lp, last_token=last)
    return (tokens.read(), lp.read(), last.read()) if logprob else tokens.read()


def check_argmax(device, rng, vocab):
    logits = rng.standard_normal((4, vocab)).astype(np.float32)
    logits[1, [vocab // 3, vocab - 1]] = 9.0  # a tie: the first wins
    logits[2] = -np.inf
    logits[3, vocab - 1] = 50
    out = device.full(5, -7, np.int32)
    padded = np.concatenate([logits, logits[:1]])
    device.run("argmax", n_rows=5, vocab=vocab, count=device.buffer(np.array([4], np.int32)), logits=device.buffer(padded), out=out)
    assert out.read().tolist() == [int(logits[0].argmax()), vocab // 3, -1, vocab - 1, -7], out.read()
    return 0.0


def check_fix(device, rng, vocab):
    n, slots = 4, 6
    logits = rng.standard_normal((n, vocab)).astype(np.float32)
    counts = np.zeros((slots, vocab), np.uint16)
    slot = np.array([5, 0, 3, 1], np.int32)
    items = [(5, 3, 2), (5, 3, 1), (5, 7, 1), (5, 3, 0), (5, 3, 0), (3, vocab - 1, 0), (3, 2, 1), (-1, 2, 0), (1, -1, 0)]
    counts[5] = 999  # a stale row that RESET clears
    counts_d = device.buffer(counts)
    column = lambda i: device.buffer(np.array([t[i] for t in items], np.int32))
    device.run("count_tokens", n_items=len(items), vocab=vocab, slot=column(0), token=column(1), mode=column(2), counts=counts_d)
    expected = np.zeros((slots, vocab), np.uint16)
    expected[5, 3], expected[5, 7], expected[3, vocab - 1], expected[3, 2] = 0x8002, 0x8000, 1, 0x8000
    assert (counts_d.read() == expected).all(), "counts"
    penalties = np.array([[1.5, 0.25, 0.5], [2, 1, 1], [1.2, -0.5, 0.1], [1, 0, 0]], np.float32)
    flags = np.array([1, 0, 3, 2], np.int32)
    words = -(-vocab // 32)
    mask = rng.integers(0, 2 ** 32, (n, words), dtype=np.uint32)
    bias = ([0, 2, 2, 3, 3], [3, vocab - 1, 2], [0.5, -1.0, 2.0])
    logits_d = device.buffer(logits)
    device.run("logits_fix", n_rows=n, vocab=vocab, row_flags=device.buffer(flags), slot=device.buffer(slot),
               penalties=device.buffer(penalties), counts=counts_d, bias_indptr=device.buffer(np.array(bias[0], np.int32)),
               bias_ids=device.buffer(np.array(bias[1], np.int32)), bias_values=device.buffer(np.array(bias[2], np.float32)),
               bitmask=device.buffer(mask), logits=logits_d)
    want = logits.astype(np.float64)
    for row in range(n):
        for i in range(bias[0][row], bias[0][row + 1]):
            want[row, bias[1][i]] += bias[2][i]
        repetition, frequency, presence = penalties[row]
        for token in np.nonzero(expected[slot[row]])[0] if flags[row] & 1 else ():
            x, n_seen = want[row, token], int(expected[slot[row], token]) & 0x7FFF
            x = x / repetition if x > 0 else x * repetition
            want[row, token] = x - frequency * n_seen - presence if n_seen else x
        if flags[row] & 2:
            allowed = mask[row][np.arange(vocab) // 32] >> (np.arange(vocab) % 32).astype(np.uint32) & 1
            want[row, allowed == 0] = -np.inf
    result = logits_d.read()
    assert (np.isneginf(result) == np.isneginf(want)).all(), "mask"
    assert np.allclose(np.where(np.isneginf(want), 0, result), np.where(np.isneginf(want), 0, want), atol=1e-5)
    return 0.0


def check_logprobs(device, rng, vocab, ties=False):
    logits = (rng.standard_normal((4, vocab)) * 3).astype(np.float32)
    if ties:
        logits = np.round(logits)
        logits[0] = 1.0
    wanted, chosen = np.array([5, 0, 20, -1], np.int32), np.array([3, vocab - 1, 0, 1], np.int32)
    ids, values = device.full((4, 20), -8, np.int32), device.full((4, 20), np.nan, np.float32)
    own, rank = device.full(4, np.nan, np.float32), device.full(4, -8, np.int32)
    device.run("top_logprobs", n_rows=4, vocab=vocab, max_n=20, logits=device.buffer(logits), wanted=device.buffer(wanted),
               chosen=device.buffer(chosen), ids=ids, logprobs=values, chosen_logprob=own, chosen_rank=rank)
    reference = log_softmax(logits.astype(np.float64))
    got, got_values, got_own = ids.read(), values.read(), own.read()
    for row, n in enumerate(wanted):
        if n < 0:
            assert (got[row] == -8).all(), "a skipped row was written"
            continue
        order = np.lexsort((np.arange(vocab), -logits[row]))[:n]
        assert (got[row, :n] == order).all(), (got[row, :n], order)
        assert (got[row, n:] == -1).all()
        assert np.allclose(got_values[row, :n], reference[row, order], atol=2e-5)
        assert abs(got_own[row] - reference[row, chosen[row]]) < 2e-5
        place = np.lexsort((np.arange(vocab), -logits[row])).tolist().index(chosen[row]) + 1
        assert rank.read()[row] == (0 if np.isneginf(logits[row, chosen[row]]) else place), (rank.read()[row], place)
    return 0.0


RULES = (dict(), dict(temperature=0.6), dict(top_k=1), dict(top_k=5), dict(top_p=0.1), dict(top_p=0.9), dict(min_p=0.2),
         dict(top_k=20, top_p=0.8, temperature=1.3), dict(top_k=50, min_p=0.05, top_p=0.7))


def check_support(device, rng, vocab, draws, rule, ties=False):
    """Never a token outside the set; with a small set, every token of it."""
    logits = (rng.standard_normal(vocab) * 2.5).astype(np.float32)
    if ties:
        logits = np.round(logits * 2) / 2
    logits[rng.permutation(vocab)[:vocab // 5]] = -np.inf
    kept, probability = survivors(logits.astype(np.float64), rule.get("temperature", 1.0), rule.get("top_k", 0),
                                  rule.get("top_p", 1.0), rule.get("min_p", 0.0))
    tokens = sample(device, np.tile(logits, (draws, 1)), rows_of(draws, **rule))
    assert kept[tokens].all(), f"{(~kept[tokens]).sum()} of {draws} draws outside the set of {kept.sum()}"
    expected = probability * draws
    missing = (np.bincount(tokens, minlength=vocab) == 0) & (expected > 25)
    assert not missing.any(), "a likely token never came"
    return 0.0


def check_chi_square(device, rng, vocab, draws, rule):
    logits = (rng.standard_normal(vocab) * 1.5).astype(np.float32)
    _, probability = survivors(logits.astype(np.float64), rule.get("temperature", 1.0), rule.get("top_k", 0),
                               rule.get("top_p", 1.0), rule.get("min_p", 0.0))
    batch = min(draws, 4096)
    counts = np.zeros(vocab)
    for start in range(0, draws, batch):
        tokens = sample(device, np.tile(logits, (batch, 1)), rows_of(batch, seed=77, position=start + np.arange(batch), **rule))
        counts += np.bincount(tokens, minlength=vocab)
    expected = probability * counts.sum()
    cells = expected >= 5
    chi = ((counts - expected)[cells] ** 2 / expected[cells]).sum()
    freedom = max(cells.sum() - 1, 1)
    # Wilson-Hilferty: the cube root is close to normal; five standard deviations never fail by chance.
    z = ((chi / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / np.sqrt(2 / (9 * freedom))
    assert z < 5, f"chi-square {chi:.1f} at {freedom} degrees, z {z:.1f}"
    return max(float(z), 0.0)


def check_rows(device, rng, vocab):
    """Greedy, skipped, fully masked, logprob and slot rules; a row's draw does not depend on its batch."""
    logits = (rng.standard_normal((6, vocab)) * 2).astype(np.float32)
    logits[3] = -np.inf
    logits[4, 0] = np.nan
    rows = rows_of(6, temperature=0.8, top_p=0.95, seed=5, position=9)
    rows["temperature"][0] = 0
    rows["flags"][1] = K["MS_SAMPLE_SKIP"]
    rows["slot"] = [4, 1, 0, 2, -1, 3]
    tokens, logprob, last = sample(device, logits, rows, logprob=True)
    assert tokens[0] == logits[0].argmax() and tokens[1] == -9 and tokens[3] == -1 and tokens[4] != 0
    assert last.tolist() == [tokens[2], -5, -5, tokens[5], tokens[0], -5]
    assert abs(logprob[0] - log_softmax(logits[0].astype(np.float64))[tokens[0]]) < 2e-5
    assert abs(logprob[2] - log_softmax(logits[2] / np.float64(np.float32(0.8)))[tokens[2]]) < 2e-5
    alone = sample(device, logits[5:6], rows[5:6].copy())
    rows_of_many = np.concatenate([rows[5:6]] * 9)
    rows_of_many["slot"] = np.arange(9)  # two rows of one slot would race for its last token
    many = sample(device, np.concatenate([logits[5:6]] * 9), rows_of_many)
    assert alone[0] == tokens[5] and (many == tokens[5]).all(), "the draw depends on the batch"
    moved = rows[5:6].copy()
    different = set()
    for position in range(30):
        moved["position"] = position
        different.add(int(sample(device, logits[5:6], moved)[0]))
    assert len(different) > 1, "the draw ignores the position"
    return 0.0


def cases(device, full):
    assert C.sizeof(C.c_char * ROW.itemsize) == device.lib.ms_sizeof(K["MS_KIND_SAMPLE_ROW"])
    for vocab in (64, 515, 4000):
        yield f"argmax {vocab}", lambda r, v=vocab: check_argmax(device, r, v)
        yield f"logits fix {vocab}", lambda r, v=vocab: check_fix(device, r, v)
        yield f"top logprobs {vocab}", lambda r, v=vocab: check_logprobs(device, r, v)
        yield f"sample rows {vocab}", lambda r, v=vocab: check_rows(device, r, v)
    yield "top logprobs ties", lambda r: check_logprobs(device, r, 4000, ties=True)
    for rule in RULES:
        for ties in (False, True):
            name = f"sample support {'ties ' if ties else ''}{rule}"
            yield name, lambda r, a=(rule, ties): check_support(device, r, 2600, 40, *a)
    for rule in (dict(), dict(top_k=10), dict(top_p=0.8, temperature=0.7)):
        yield f"sample chi-square {rule}", lambda r, a=rule: check_chi_square(device, r, 64, 200000 if full else 512, a)
    if full:
        for rule in RULES:
            for ties in (False, True):
                name = f"sample support 151936 {'ties ' if ties else ''}{rule}"
                yield name, lambda r, a=(rule, ties): check_support(device, r, 151936, 256, *a)
        yield "top logprobs 151936", lambda r: check_logprobs(device, r, 151936)
        yield "argmax 151936", lambda r: check_argmax(device, r, 151936)
        yield "logits fix 128256", lambda r: check_fix(device, r, 128256)
