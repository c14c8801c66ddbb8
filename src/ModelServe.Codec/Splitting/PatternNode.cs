namespace ModelServe.Codec.Splitting;

/// <summary>A part of a regular expression, as <see cref="PatternParser"/> reads it. Immutable.</summary>
internal abstract record PatternNode
{
    private PatternNode()
    {
    }

    /// <summary>Whether the part may match the empty text.</summary>
    public abstract bool IsNullable { get; }

    /// <summary>One char of a class.</summary>
    /// <param name="Class">Number of the class.</param>
    public sealed record One(int Class) : PatternNode
    {
        /// <inheritdoc/>
        public override bool IsNullable => false;
    }

    /// <summary>Nothing, where the next char is in one of the classes (or, negated, in none).</summary>
    /// <param name="Classes">Numbers of the classes.</param>
    /// <param name="Negated">Whether the char must be in none.</param>
    /// <param name="AtEnd">Whether the end of the text fulfils it.</param>
    public sealed record Look(IReadOnlyList<int> Classes, bool Negated, bool AtEnd) : PatternNode
    {
        /// <inheritdoc/>
        public override bool IsNullable => true;
    }

    /// <summary>Parts one after another.</summary>
    public sealed record Sequence(IReadOnlyList<PatternNode> Parts) : PatternNode
    {
        /// <inheritdoc/>
        public override bool IsNullable => Parts.All(part => part.IsNullable);
    }

    /// <summary>The first of several parts that leads to a match.</summary>
    public sealed record Choice(IReadOnlyList<PatternNode> Parts) : PatternNode
    {
        /// <inheritdoc/>
        public override bool IsNullable => Parts.Any(part => part.IsNullable);
    }

    /// <summary>A part several times.</summary>
    /// <param name="Part">The part.</param>
    /// <param name="Least">Least number of times.</param>
    /// <param name="Most">Greatest number of times; null for any.</param>
    /// <param name="Lazy">Whether fewer times are tried first.</param>
    public sealed record Repeat(PatternNode Part, int Least, int? Most, bool Lazy) : PatternNode
    {
        /// <inheritdoc/>
        public override bool IsNullable => Least == 0 || Part.IsNullable;
    }
}
