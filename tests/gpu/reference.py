"""The ops in fp64, from their definitions: what every implementation is compared with."""
import numpy as np


def error(out, reference):
    """||out - reference|| / ||reference||; refuses anything that is not finite."""
    out, reference = np.asarray(out, np.float64), np.asarray(reference, np.float64)
    assert out.shape == reference.shape, (out.shape, reference.shape)
    assert np.isfinite(out).all(), "output is not finite: something was not written, or was masked wrongly"
    norm = np.linalg.norm(reference)
    return np.linalg.norm(out - reference) / norm if norm > 0 else np.abs(out).max(initial=0.0)


def rmsnorm(x, weight, eps, offset=0.0):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * (weight + offset)


def attention(q, k, v, scale, first=0, softcap=0.0, window=0, sinks=None):
    """q [T, Hq, D] at positions first ..; k, v [S, Hkv, D]; causal; returns [T, Hq, D]."""
    group = q.shape[1] // k.shape[1]
    out = np.zeros_like(q)
    positions = first + np.arange(q.shape[0])
    keys = np.arange(k.shape[0])
    seen = keys[None, :] <= positions[:, None]
    if window:
        seen &= keys[None, :] > positions[:, None] - window
    for head in range(q.shape[1]):
        scores = q[:, head] @ k[:, head // group].T * scale
        if softcap:
            scores = softcap * np.tanh(scores / softcap)
        scores = np.where(seen, scores, -np.inf)
        top = scores.max(-1, keepdims=True, initial=-1e300)
        if sinks is not None:
            top = np.maximum(top, sinks[head])
        weight = np.exp(scores - top)
        total = weight.sum(-1, keepdims=True)
        if sinks is not None:
            total = total + np.exp(sinks[head] - top)
        out[:, head] = np.where(total > 0, weight @ v[:, head // group] / np.where(total > 0, total, 1), 0)
    return out


def torch_or_none():
    """torch where it is installed; the checks that need it say so where it is not."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def sdpa_error(q, k, v, scale, first, window, expected):
    """Largest error of torch's own bf16 attention on the same inputs, on a GPU where there is one; None without torch."""
    torch = torch_or_none()
    if torch is None:
        return None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    group = q.shape[1] // k.shape[1]
    as_heads = lambda a: torch.from_numpy(np.ascontiguousarray(a)).to(device, torch.bfloat16).transpose(0, 1)[None]
    positions, keys = first + np.arange(q.shape[0]), np.arange(k.shape[0])
    seen = keys[None, :] <= positions[:, None]
    if window:
        seen &= keys[None, :] > positions[:, None] - window
    out = torch.nn.functional.scaled_dot_product_attention(
        as_heads(q), as_heads(np.repeat(k, group, 1)), as_heads(np.repeat(v, group, 1)),
        attn_mask=torch.from_numpy(seen).to(device), scale=scale)
    return np.abs(out[0].transpose(0, 1).double().cpu().numpy() - expected).max()


def rotate(x, positions, cos_sin, rotary, interleaved):
    """x [T, H, D]; cos_sin [P, rotary]: cos of each pair, then sin."""
    half = rotary // 2
    cos, sin = cos_sin[positions][:, None, :half], cos_sin[positions][:, None, half:]
    out = x.copy()
    first, second = (slice(0, rotary, 2), slice(1, rotary, 2)) if interleaved else (slice(0, half), slice(half, rotary))
    a, b = x[..., first], x[..., second]
    out[..., first], out[..., second] = a * cos - b * sin, b * cos + a * sin
    return out


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


def log_softmax(x):
    top = x.max(-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))


def survivors(logits, temperature, top_k=0, top_p=1.0, min_p=0.0):
    """The set a row may draw from, ties kept together, and the probabilities within it."""
    x = logits / temperature
    kept = np.isfinite(x)
    if min_p > 0:
        kept &= x >= x.max() + np.log(min_p)
    if top_k and kept.sum() > top_k:
        kept &= x >= np.sort(x[kept])[-top_k]
    if top_p < 1:
        weight = np.where(kept, np.exp(x - x.max()), 0)
        order = np.argsort(-np.where(kept, x, -np.inf), kind="stable")
        before = np.cumsum(weight[order]) - weight[order]
        inside = order[before < top_p * weight.sum()]
        kept &= x >= x[inside].min()
    weight = np.where(kept, np.exp(x - x.max()), 0)
    return kept, weight / weight.sum()
