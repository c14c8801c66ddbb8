using System.Text;
using ModelServe.Codec.Normalizing;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

public sealed class TextCaseTests
{
    [Fact]
    public void Case_mappings_keep_the_number_of_UTF16_units_of_a_code_point() =>
        Assert.DoesNotContain(
            Enumerable.Range(0, 0x110000).Where(Rune.IsValid),
            code => new Rune(CaseTables.Lower(code)).Utf16SequenceLength != new Rune(code).Utf16SequenceLength
                || new Rune(CaseTables.Upper(code)).Utf16SequenceLength != new Rune(code).Utf16SequenceLength);

    [Theory]
    [InlineData("straße ǆ ſ ŉ \U00010428x", "STRASSE Ǆ S ʼN \U00010400X")]
    [InlineData("ñandú \uD800", "ÑANDÚ \uD800")]
    public void Upper_case_is_Python_s(string text, string upper) => Assert.Equal(upper, TextCase.Upper(text));

    [Theory]
    [InlineData("ÀÉÎ ΑΣ ΑΣΑ İ \U00010400", "àéî ας ασα i\u0307 \U00010428")]
    public void Lower_case_is_Python_s(string text, string lower) => Assert.Equal(lower, TextCase.Lower(text));
}
