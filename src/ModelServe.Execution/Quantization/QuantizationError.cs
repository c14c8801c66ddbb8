namespace ModelServe.Execution.Quantization;

/// <summary>What quantising a tensor lost: its squared error beside its squares.</summary>
internal struct QuantizationError
{
    private double _lost;
    private double _squares;

    /// <summary>The error over the tensor: the root of the squared error over the root of its squares; 0 for a tensor of zeros.</summary>
    public readonly double Relative => _squares == 0 ? 0 : Math.Sqrt(_lost / _squares);

    /// <summary>Adds some elements' squared error and squares, both of shares of a unit.</summary>
    public void Add(float lost, float squares, double unit)
    {
        _lost += lost * unit * unit;
        _squares += squares * unit * unit;
    }

    /// <summary>Adds elements that became zero.</summary>
    public unsafe void AddLost(float* values, int count)
    {
        for (var i = 0; i < count; i++)
        {
            _lost += (double)values[i] * values[i];
            _squares += (double)values[i] * values[i];
        }
    }

    /// <summary>Adds another part of the tensor.</summary>
    public void Add(in QuantizationError other)
    {
        _lost += other._lost;
        _squares += other._squares;
    }
}
