using TorchSharp;
using static TorchSharp.torch;

namespace ModelServe.Trainer.Training;

/// <summary>
/// Muon (orthogonalised momentum) for the matrices between the embedding and the head, AdamW for the embedding and the norms.
/// </summary>
internal sealed class MuonAdam
{
    private const double Momentum = 0.95;
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.98;

    private readonly List<Slot> _slots = [];
    private readonly double _muonRate;
    private readonly double _adamRate;
    private readonly double _decay;
    private int _steps;

    public MuonAdam(IReadOnlyDictionary<string, Tensor> weights, double muonRate, double adamRate, double decay)
    {
        (_muonRate, _adamRate, _decay) = (muonRate, adamRate, decay);
        foreach ((string name, Tensor weight) in weights)
        {
            bool matrix = weight.dim() == 2 && !name.Contains("embed", StringComparison.Ordinal) && muonRate > 0;
            Tensor first = zeros_like(weight, requires_grad: false);
            Tensor? second = matrix ? null : zeros_like(weight, requires_grad: false);
            _slots.Add(new(weight, first, second));
        }
    }

    /// <summary>Applies the gradients with both rates scaled, then clears them; gives the gradient norm.</summary>
    public double Step(double scale)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable guard = no_grad();
        _steps++;
        double norm = Math.Sqrt(_slots.Sum(s => s.Weight.grad!.square().sum().item<float>()));
        double clip = Math.Min(1.0, 1.0 / (norm + 1e-6));
        foreach (Slot slot in _slots)
        {
            Tensor gradient = slot.Weight.grad!;
            if (slot.Second is null)
            {
                Muon(slot, gradient, _muonRate * scale);
            }
            else
            {
                gradient.mul_(clip);
                Adam(slot, gradient, _adamRate * scale);
            }

            gradient.zero_();
        }

        return norm;
    }

    private void Muon(Slot slot, Tensor gradient, double rate)
    {
        slot.First.mul_(Momentum).add_(gradient, 1 - Momentum);
        Tensor update = Orthogonalise(gradient.mul(1 - Momentum).add(slot.First, Momentum));
        double shape = Math.Sqrt(Math.Max(1.0, (double)slot.Weight.size(0) / slot.Weight.size(1)));
        slot.Weight.mul_(1 - (rate * _decay)).add_(update, -rate * shape);
    }

    private void Adam(Slot slot, Tensor gradient, double rate)
    {
        slot.First.mul_(Beta1).add_(gradient, 1 - Beta1);
        slot.Second!.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        double correction1 = 1 - Math.Pow(Beta1, _steps);
        double correction2 = 1 - Math.Pow(Beta2, _steps);
        Tensor denominator = slot.Second.div(correction2).sqrt_().add_(1e-9);
        if (slot.Weight.dim() == 2)
        {
            slot.Weight.mul_(1 - (rate * _decay));
        }

        slot.Weight.addcdiv_(slot.First, denominator, -rate / correction1);
    }

    /// <summary>Five quintic Newton-Schulz iterations towards the nearest semi-orthogonal matrix.</summary>
    private static Tensor Orthogonalise(Tensor matrix)
    {
        bool tall = matrix.size(0) > matrix.size(1);
        Tensor x = (tall ? matrix.t() : matrix).div(matrix.norm().add(1e-12));
        x = x.to(ScalarType.BFloat16).contiguous();
        for (int i = 0; i < 5; i++)
        {
            Tensor a = nn.functional.linear(x, x);
            Tensor b = a.mul(-4.7750).add(nn.functional.linear(a, a), 2.0315);
            x = x.mul(3.4445).add(b.mm(x));
        }

        x = x.to(ScalarType.Float32);
        return tall ? x.t() : x;
    }

    /// <summary>One parameter with its moments; no second moment means Muon.</summary>
    private sealed record Slot(Tensor Weight, Tensor First, Tensor? Second);
}
