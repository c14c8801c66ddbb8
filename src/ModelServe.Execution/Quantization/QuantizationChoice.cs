namespace ModelServe.Execution.Quantization;

/// <summary>Which format each matrix of a model is stored in.</summary>
/// <remarks>
/// The rule for a tensor that loses too much: one whose relative error in 4 bits is above <see cref="MostError"/> is stored in 8 bits, and
/// one whose error there is too large as well is not quantised. Matrices that are fused take the widest format of their parts.
/// </remarks>
internal sealed class QuantizationChoice
{
    private readonly QuantizedFormat? _layers;
    private readonly QuantizedFormat? _head;
    private readonly IReadOnlyDictionary<string, QuantizedFormat?> _kept;

    private QuantizationChoice(QuantizedFormat? layers, QuantizedFormat? head, IReadOnlyDictionary<string, QuantizedFormat?> kept)
    {
        _layers = layers;
        _head = head;
        _kept = kept;
    }

    /// <summary>Nothing is quantised.</summary>
    public static QuantizationChoice None { get; } = new(null, null, new Dictionary<string, QuantizedFormat?>());

    /// <summary>Whether anything may be.</summary>
    public bool IsNone => _layers is null;

    /// <summary>Tensors that are stored more widely than was asked for: null for those not quantised.</summary>
    public IReadOnlyDictionary<string, QuantizedFormat?> Kept => _kept;

    /// <summary>In few words, for the table of the memory.</summary>
    public string Description => _layers is not { } layers ? "" : _head == layers ? layers.Name() : $"{layers.Name()}, head {_head?.Name() ?? "not quantised"}";

    /// <summary>What an operator asked for.</summary>
    public static QuantizationChoice Of(WeightQuantization? asked) => asked is null
        ? None
        : new QuantizationChoice(
            asked.Format,
            asked.Head switch
            {
                HeadQuantization.Int4 => QuantizedFormat.Int4,
                HeadQuantization.None => null,
                _ => QuantizedFormat.Int8,
            },
            None.Kept);

    /// <summary>The largest relative error that a format may cause in a tensor.</summary>
    /// <remarks>Twice (4 bits) and three times (8 bits) what normally distributed weights lose: only tensors with outliers come near.</remarks>
    public static double MostError(QuantizedFormat format) => format == QuantizedFormat.Int4 ? 0.2 : 0.02;

    /// <summary>The same with these tensors stored more widely; null for those not to be quantised.</summary>
    public QuantizationChoice Keeping(IEnumerable<KeyValuePair<string, QuantizedFormat?>> tensors)
    {
        var kept = new Dictionary<string, QuantizedFormat?>(_kept, StringComparer.Ordinal);
        foreach (var (name, format) in tensors)
        {
            kept[name] = format;
        }

        return new QuantizationChoice(_layers, _head, kept);
    }

    /// <summary>The format of a matrix with these tensors; null if it is not quantised.</summary>
    public QuantizedFormat? For(IEnumerable<string> tensors, bool isHead)
    {
        var format = isHead ? _head : _layers;
        foreach (var tensor in tensors)
        {
            if (format is not null && _kept.TryGetValue(tensor, out var wider))
            {
                format = wider is null || wider == QuantizedFormat.Int8 ? wider : format;
            }
        }

        return format;
    }
}
