using System.Runtime.CompilerServices;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Quantization;

/// <summary>Rows of a quantised matrix as float32: for an embedding table.</summary>
internal static unsafe class QuantizedRow
{
    /// <summary>Writes the <see cref="QuantizedShape.Columns"/> elements of a row; each is its whole number times its group's scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(in QuantizedShape shape, byte* data, int row, float* target)
    {
        for (var group = 0; group * QuantizedShape.GroupColumns < shape.Columns; group++)
        {
            var scale = BFloat.ToSingle(*(ushort*)(data + shape.ScaleOffset(row, group)));
            var source = data + shape.GroupOffset(row, group);
            var start = group * QuantizedShape.GroupColumns;
            var count = Math.Min(QuantizedShape.GroupColumns, shape.Columns - start);
            if (shape.Format == QuantizedFormat.Int8)
            {
                for (var i = 0; i < count; i++)
                {
                    target[start + i] = (source[(i / 4 * QuantizedShape.LineBytes) + (i % 4)] - 128) * scale;
                }
            }
            else
            {
                for (var i = 0; i < count; i++)
                {
                    var both = source[(i / 8 * QuantizedShape.LineBytes) + (i % 4)];
                    target[start + i] = (((both >> (i & 4)) & 15) - 8) * scale;
                }
            }
        }
    }
}
