using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Rows;

/// <summary>Rows of a step's residual that are needed further, with what is still to be added to them: few, so that one thread takes them.</summary>
internal static unsafe class RowGather
{
    /// <summary><c>output[i] = residual[t] (+ pending[t])</c> with t = tokens[i].</summary>
    public static void Run(ReadOnlySpan<int> tokens, Activation residual, Activation? pending, Activation output)
    {
        for (var i = 0; i < tokens.Length; i++)
        {
            var token = tokens[i];
            if (pending is null)
            {
                residual.Row(token).CopyTo(output.Row(i));
                continue;
            }

            NormWork.Add(
                residual.Data + ((long)token * residual.Columns),
                pending.Data + ((long)token * pending.Columns),
                output.Data + ((long)i * output.Columns),
                output.Columns);
        }
    }
}
