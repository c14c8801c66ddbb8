using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>What normalization knows of one code point. Filled while the data is read, then constant.</summary>
internal sealed class CodePointRecord
{
    private readonly bool[] _boundaries = [true, true, true, true];

    /// <summary>The record of every code point that normalization leaves alone.</summary>
    public static CodePointRecord Inert { get; } = new();

    /// <summary>The canonical combining class; 0 for what does not move.</summary>
    public byte Class { get; set; }

    /// <summary>The full canonical decomposition; null where it is the code point itself.</summary>
    public int[]? Canonical { get; set; }

    /// <summary>The full compatibility decomposition; null where it is the code point itself.</summary>
    public int[]? Compatible { get; set; }

    /// <summary>Whether it is what its canonical decomposition composes to.</summary>
    public bool IsComposite { get; set; }

    /// <summary>Whether it may compose with what stands before it.</summary>
    public bool ComposesBackward { get; set; }

    /// <summary>Whether text may be cut before it, and it is itself normalized.</summary>
    public bool IsBoundary(NormalizationForm form) => _boundaries[Index(form)];

    /// <summary>The full decomposition for a form; null where it is the code point itself.</summary>
    public int[]? Decomposition(NormalizationForm form) =>
        form is NormalizationForm.FormKC or NormalizationForm.FormKD ? Compatible : Canonical;

    /// <summary>Says for each form whether text may be cut before the code point.</summary>
    public void SetBoundaries(bool d, bool kd, bool c, bool kc)
    {
        _boundaries[Index(NormalizationForm.FormD)] = d;
        _boundaries[Index(NormalizationForm.FormKD)] = kd;
        _boundaries[Index(NormalizationForm.FormC)] = c;
        _boundaries[Index(NormalizationForm.FormKC)] = kc;
    }

    private static int Index(NormalizationForm form) => form switch
    {
        NormalizationForm.FormC => 0,
        NormalizationForm.FormD => 1,
        NormalizationForm.FormKC => 2,
        _ => 3,
    };
}
