using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>What one product reads and writes; addresses on the device.</summary>
internal readonly unsafe ref struct ProductOperands
{
    /// <summary>[rows, columns of the weight] bfloat16; null where the rows are quantised already (<see cref="DeviceProducts.Quantised"/>).</summary>
    public void* Input { get; init; }

    /// <summary>[rows, features]; half of them where gated.</summary>
    public void* Output { get; init; }

    /// <summary>How the output is stored.</summary>
    public ElementType Result { get; init; }

    /// <summary>Launch bound of rows.</summary>
    public int Rows { get; init; }

    /// <summary>[1] rows of this step; null for the bound.</summary>
    public int* Count { get; init; }

    /// <summary>Gain of the norm that is made on the way; null for none.</summary>
    public void* NormGain { get; init; }

    /// <summary>The norm's epsilon.</summary>
    public float Epsilon { get; init; }

    /// <summary>Whether the output is silu(gate) · up.</summary>
    public bool IsGated { get; init; }

    /// <summary>Whether the product is added to what the output holds.</summary>
    public bool IsAdded { get; init; }
}
