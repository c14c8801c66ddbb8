namespace ModelServe.Execution.Tests.Models;

/// <summary>The forward pass as the architectures define it: double precision, plain loops, the whole sequence again for every token.</summary>
/// <remarks>Shares nothing with what it checks: no paging, no batch, no fused weights, no table of angles.</remarks>
public sealed class ReferenceDecoder(TinyModel model, IReadOnlyDictionary<string, float[]> weights)
{
    /// <summary>Logits after the last token.</summary>
    public double[] Logits(IReadOnlyList<int> tokens)
    {
        var rows = tokens.Select(token => Row("model.embed_tokens.weight", token)).ToArray();
        for (var layer = 0; layer < model.Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            var attended = Attend(prefix, [.. rows.Select(row => Norm(row, $"{prefix}input_layernorm"))]);
            for (var t = 0; t < rows.Length; t++)
            {
                rows[t] = Add(rows[t], attended[t]);
                rows[t] = Add(rows[t], FeedForward(prefix, Norm(rows[t], $"{prefix}post_attention_layernorm")));
            }
        }

        var last = Norm(rows[^1], "model.norm");
        return Multiply(model.Tied ? "model.embed_tokens" : "lm_head", last, model.Vocabulary);
    }

    /// <summary>Greedy continuation of a prompt.</summary>
    public List<int> Greedy(IReadOnlyList<int> prompt, int count)
    {
        var tokens = prompt.ToList();
        for (var i = 0; i < count; i++)
        {
            var logits = Logits(tokens);
            tokens.Add(Array.IndexOf(logits, logits.Max()));
        }

        return tokens[prompt.Count..];
    }

    private double[][] Attend(string prefix, double[][] inputs)
    {
        var queries = inputs.Select((x, t) => Heads($"{prefix}self_attn.q", x, model.Heads, t)).ToArray();
        var keys = inputs.Select((x, t) => Heads($"{prefix}self_attn.k", x, model.KvHeads, t)).ToArray();
        var values = inputs.Select(x => Multiply($"{prefix}self_attn.v_proj", x, model.KvHeads * model.HeadDim)).ToArray();
        var outputs = new double[inputs.Length][];
        for (var t = 0; t < inputs.Length; t++)
        {
            var joined = new double[model.Heads * model.HeadDim];
            for (var head = 0; head < model.Heads; head++)
            {
                var kvHead = head / (model.Heads / model.KvHeads);
                var first = model.Window == 0 ? 0 : Math.Max(0, t - model.Window + 1);
                var scores = Enumerable.Range(first, t - first + 1)
                    .Select(j => Dot(queries[t][head], keys[j][kvHead]) / Math.Sqrt(model.HeadDim))
                    .ToArray();
                var max = scores.Max();
                var total = scores.Sum(score => Math.Exp(score - max));
                for (var j = first; j <= t; j++)
                {
                    var weight = Math.Exp(scores[j - first] - max) / total;
                    for (var d = 0; d < model.HeadDim; d++)
                    {
                        joined[(head * model.HeadDim) + d] += weight * values[j][(kvHead * model.HeadDim) + d];
                    }
                }
            }

            outputs[t] = Multiply($"{prefix}self_attn.o_proj", joined, model.Hidden);
        }

        return outputs;
    }

    private double[][] Heads(string name, double[] x, int count, int position)
    {
        var flat = Multiply($"{name}_proj", x, count * model.HeadDim);
        var heads = new double[count][];
        for (var head = 0; head < count; head++)
        {
            var part = flat[(head * model.HeadDim)..((head + 1) * model.HeadDim)];
            heads[head] = Rotate(model.QkNorm ? Norm(part, $"{name}_norm") : part, position);
        }

        return heads;
    }

    private double[] Rotate(double[] x, int position)
    {
        var half = x.Length / 2;
        var rotated = new double[x.Length];
        for (var i = 0; i < half; i++)
        {
            var angle = position * Frequency(i);
            rotated[i] = (x[i] * Math.Cos(angle)) - (x[i + half] * Math.Sin(angle));
            rotated[i + half] = (x[i + half] * Math.Cos(angle)) + (x[i] * Math.Sin(angle));
        }

        return rotated;
    }

    private double Frequency(int i)
    {
        var frequency = Math.Pow(model.RotaryBase, -2.0 * i / model.HeadDim);
        if (model.Llama3Original == 0)
        {
            return frequency / model.LinearFactor;
        }

        // Llama 3.1: factor 8, low 1, high 4.
        var turns = model.Llama3Original * frequency / (2 * Math.PI);
        var blend = Math.Clamp((turns - 1) / (4 - 1), 0, 1);
        return frequency * (blend + ((1 - blend) / 8));
    }

    private double[] FeedForward(string prefix, double[] x)
    {
        var gate = Multiply($"{prefix}mlp.gate_proj", x, model.Intermediate);
        var up = Multiply($"{prefix}mlp.up_proj", x, model.Intermediate);
        return Multiply($"{prefix}mlp.down_proj", [.. gate.Select((g, i) => g / (1 + Math.Exp(-g)) * up[i])], model.Hidden);
    }

    private double[] Norm(double[] x, string name)
    {
        var gain = weights[$"{name}.weight"];
        var scale = 1 / Math.Sqrt((x.Sum(value => value * value) / x.Length) + model.Epsilon);
        return [.. x.Select((value, i) => value * scale * gain[i])];
    }

    private double[] Multiply(string name, double[] x, int rows)
    {
        var matrix = weights[$"{name}.weight"];
        var bias = weights.GetValueOrDefault($"{name}.bias");
        var y = new double[rows];
        for (var row = 0; row < rows; row++)
        {
            var weight = matrix.AsSpan(row * x.Length, x.Length);
            var sum = bias is null ? 0.0 : bias[row];
            for (var column = 0; column < weight.Length; column++)
            {
                sum += weight[column] * x[column];
            }

            y[row] = sum;
        }

        return y;
    }

    private double[] Row(string name, int row) =>
        Array.ConvertAll(weights[name][(row * model.Hidden)..((row + 1) * model.Hidden)], value => (double)value);

    private static double[] Add(double[] a, double[] b) => [.. a.Select((value, i) => value + b[i])];

    private static double Dot(double[] a, double[] b)
    {
        var sum = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
