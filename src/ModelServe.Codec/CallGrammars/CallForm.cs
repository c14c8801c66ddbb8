using ModelServe.Codec.Grammars;

namespace ModelServe.Codec.CallGrammars;

/// <summary>One way in which the calls of an answer are written: all of them, from the first opening to the end of the answer.</summary>
/// <param name="Opener">The text that begins them.</param>
/// <param name="Rest">What follows it.</param>
/// <param name="Place">Where in free text the opener counts.</param>
internal sealed record CallForm(string Opener, RuleNode Rest, OpeningPlace Place = OpeningPlace.Anywhere);
