using System.Diagnostics;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Sampling;

/// <summary>How long one step waits for the masks of its rows, all together: while the device is busy anyway, and then for a short while.</summary>
/// <remarks>A row whose mask is late is left to a later step, which does not wait for the same mask again. Engine thread.</remarks>
internal struct MaskWait
{
    private static readonly long Patience = Stopwatch.Frequency / 1000;

    private long _ends;

    /// <summary>Waits for the mask of a row.</summary>
    /// <param name="slot">The row's sequence.</param>
    /// <param name="forward">Passes when the step's logits are there; null when they are.</param>
    /// <returns>Whether it is ready; if not, the step goes on without the row's token.</returns>
    public bool IsOver(SlotSampling slot, KernelEvent? forward)
    {
        SpinWait spin = default;
        while (!slot.IsMaskReady)
        {
            if (forward is null or { HasPassed: true })
            {
                long now = Stopwatch.GetTimestamp();
                _ends = _ends == 0 ? now + Patience : _ends;
                if (slot.IsMaskLate || now >= _ends)
                {
                    slot.PassOverMask();
                    return false;
                }
            }

            spin.SpinOnce(sleep1Threshold: -1);
        }

        return true;
    }
}
