using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace ModelServe.Trainer.Model;

/// <summary>
/// A Llama or Qwen3 decoder over float32 master weights with Hugging Face names. Linear layers compute in
/// <see cref="Compute"/>; the residual stream, norms and attention stay in float32.
/// </summary>
internal sealed class Decoder : IDisposable
{
    private readonly Tensor _cos;
    private readonly Tensor _sin;

    public Decoder(DecoderShape shape, int seed)
    {
        Shape = shape;
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)seed, CPU);
        double residual = 0.02 / Math.Sqrt(2 * shape.Layers);
        foreach ((string name, long[] size) in ParameterSizes(shape))
        {
            double deviation = name.EndsWith("o_proj.weight", StringComparison.Ordinal)
                || name.EndsWith("down_proj.weight", StringComparison.Ordinal) ? residual : 0.02 * Math.Sqrt(512.0 / shape.Hidden);
            Tensor value = size.Length == 1 ? ones(size) : randn(size, generator: generator).mul(deviation);
            value.requires_grad_(true);
            Weights.Add(name, value.MoveToOuterDisposeScope().DetachFromDisposeScope());
        }

        int half = shape.HeadSize / 2;
        Tensor frequencies = pow(DecoderShape.RopeTheta, arange(half, dtype: ScalarType.Float32).mul(-1.0 / half));
        Tensor angles = arange(DecoderShape.MaxPositions, dtype: ScalarType.Float32).unsqueeze(1).mul(frequencies.unsqueeze(0));
        _cos = angles.cos().unsqueeze(1).DetachFromDisposeScope();
        _sin = angles.sin().unsqueeze(1).DetachFromDisposeScope();
    }

    public DecoderShape Shape { get; }

    public ScalarType Compute { get; set; } = ScalarType.BFloat16;

    /// <summary>All parameters by their Hugging Face names, in file order.</summary>
    public Dictionary<string, Tensor> Weights { get; } = [];

    public long ParameterCount => Weights.Values.Sum(w => w.numel());

    /// <summary>Names and sizes of every parameter.</summary>
    public static IEnumerable<(string Name, long[] Size)> ParameterSizes(DecoderShape shape)
    {
        int q = shape.Heads * shape.HeadSize;
        int kv = shape.KvHeads * shape.HeadSize;
        yield return ("model.embed_tokens.weight", [shape.Vocabulary, shape.Hidden]);
        for (int i = 0; i < shape.Layers; i++)
        {
            string layer = Layer(i);
            yield return (layer + "input_layernorm.weight", [shape.Hidden]);
            yield return (layer + "self_attn.q_proj.weight", [q, shape.Hidden]);
            yield return (layer + "self_attn.k_proj.weight", [kv, shape.Hidden]);
            yield return (layer + "self_attn.v_proj.weight", [kv, shape.Hidden]);
            yield return (layer + "self_attn.o_proj.weight", [shape.Hidden, q]);
            if (shape.HeadNorms)
            {
                yield return (layer + "self_attn.q_norm.weight", [shape.HeadSize]);
                yield return (layer + "self_attn.k_norm.weight", [shape.HeadSize]);
            }

            yield return (layer + "post_attention_layernorm.weight", [shape.Hidden]);
            yield return (layer + "mlp.gate_proj.weight", [shape.Intermediate, shape.Hidden]);
            yield return (layer + "mlp.up_proj.weight", [shape.Intermediate, shape.Hidden]);
            yield return (layer + "mlp.down_proj.weight", [shape.Hidden, shape.Intermediate]);
        }

        yield return ("model.norm.weight", [shape.Hidden]);
    }

    /// <summary>Logits at the chosen flat positions of a [rows, length] batch of token ids.</summary>
    public Tensor Forward(Tensor ids, Tensor positions)
    {
        long rows = ids.size(0);
        long length = ids.size(1);
        Tensor embedding = Weights["model.embed_tokens.weight"];
        Tensor x = embedding.index_select(0, ids.flatten());
        Tensor cos = _cos.narrow(0, 0, length);
        Tensor sin = _sin.narrow(0, 0, length);
        for (int i = 0; i < Shape.Layers; i++)
        {
            string layer = Layer(i);
            Tensor h = Norm(x, Weights[layer + "input_layernorm.weight"]).to(Compute);
            x = x.add(Attention(h, layer, rows, length, cos, sin));
            h = Norm(x, Weights[layer + "post_attention_layernorm.weight"]).to(Compute);
            x = x.add(FeedForward(h, layer));
        }

        x = Norm(x.index_select(0, positions), Weights["model.norm.weight"]).to(Compute);
        return linear(x, embedding.to(Compute)).to(ScalarType.Float32);
    }

    public void Dispose()
    {
        foreach (Tensor weight in Weights.Values)
        {
            weight.Dispose();
        }

        _cos.Dispose();
        _sin.Dispose();
    }

    private static string Layer(int index) => $"model.layers.{index}.";

    private static Tensor Norm(Tensor x, Tensor weight)
    {
        Tensor scale = x.square().mean([-1], keepdim: true).add(DecoderShape.Epsilon).rsqrt();
        return x.mul(scale).mul(weight);
    }

    private Tensor Attention(Tensor h, string layer, long rows, long length, Tensor cos, Tensor sin)
    {
        int heads = Shape.Heads;
        int kv = Shape.KvHeads;
        int size = Shape.HeadSize;
        string prefix = layer + "self_attn.";
        Tensor weight = cat([Weights[prefix + "q_proj.weight"], Weights[prefix + "k_proj.weight"], Weights[prefix + "v_proj.weight"]]);
        Tensor qkv = linear(h, weight.to(Compute)).to(ScalarType.Float32).view(rows, length, heads + kv + kv, size);
        Tensor qk = qkv.narrow(2, 0, heads + kv);
        if (Shape.HeadNorms)
        {
            Tensor scales = cat([Weights[prefix + "q_norm.weight"].expand(heads, size), Weights[prefix + "k_norm.weight"].expand(kv, size)]);
            qk = Norm(qk, scales);
        }

        Tensor low = qk.narrow(-1, 0, size / 2);
        Tensor high = qk.narrow(-1, size / 2, size / 2);
        qk = cat([low.mul(cos).sub(high.mul(sin)), high.mul(cos).add(low.mul(sin))], -1);
        Tensor q = qk.narrow(2, 0, heads).transpose(1, 2);
        Tensor k = PerQueryHead(qk.narrow(2, heads, kv), rows, length);
        Tensor v = PerQueryHead(qkv.narrow(2, heads + kv, kv), rows, length);
        Tensor mixed = scaled_dot_product_attention(q, k, v, is_casual: true);
        mixed = mixed.transpose(1, 2).reshape(rows * length, heads * size);
        return linear(mixed.to(Compute), Weights[prefix + "o_proj.weight"].to(Compute)).to(ScalarType.Float32);
    }

    private Tensor PerQueryHead(Tensor x, long rows, long length)
    {
        int group = Shape.Heads / Shape.KvHeads;
        return group == 1
            ? x.transpose(1, 2)
            : x.unsqueeze(3).expand(rows, length, Shape.KvHeads, group, Shape.HeadSize)
                .reshape(rows, length, Shape.Heads, Shape.HeadSize).transpose(1, 2);
    }

    private Tensor FeedForward(Tensor h, string layer)
    {
        string prefix = layer + "mlp.";
        Tensor weight = cat([Weights[prefix + "gate_proj.weight"], Weights[prefix + "up_proj.weight"]]);
        Tensor both = linear(h, weight.to(Compute));
        Tensor gated = silu(both.narrow(-1, 0, Shape.Intermediate)).mul(both.narrow(-1, Shape.Intermediate, Shape.Intermediate));
        return linear(gated, Weights[prefix + "down_proj.weight"].to(Compute)).to(ScalarType.Float32);
    }
}
