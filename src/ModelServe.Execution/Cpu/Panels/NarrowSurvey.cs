using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>What narrow panels would be of some weights, as <c>ms_cpu_survey</c> in <c>modelserve_cpu.h</c> lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NarrowSurvey
{
    /// <summary>Most weights of one panel whose exponents lie outside the 16 that their row's code can say.</summary>
    public int Most;

    /// <summary>Rows with a weight that is no finite number.</summary>
    public int Unfit;

    /// <summary>Rows of zeros.</summary>
    public int ZeroRows;
}
