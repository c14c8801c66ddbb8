using ModelServe.Codec.Grammars;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Models;

/// <summary>A grammar as the engine's constraint: text must follow it, and a stop token may come once it is whole. Immutable and thread-safe.</summary>
internal sealed class GrammarConstraint(CompiledGrammar grammar, IReadOnlyList<int> stopTokenIds) : ITokenConstraint
{
    /// <inheritdoc/>
    public ITokenConstraintFollower Follow() => new Follower(grammar.CreateMatcher(), stopTokenIds);

    private sealed class Follower(GrammarMatcher matcher, IReadOnlyList<int> stopTokenIds) : ITokenConstraintFollower
    {
        private bool _hasFailed;

        public bool FillMask(Span<uint> allowed)
        {
            if (_hasFailed)
            {
                return false;
            }

            try
            {
                bool any = matcher.FillMask(allowed);
                if (!matcher.IsComplete)
                {
                    return any;
                }

                foreach (int id in stopTokenIds)
                {
                    allowed[id >> 5] |= 1u << (id & 31);
                }

                return any || stopTokenIds.Count > 0;
            }
            catch (InvalidGrammarException)
            {
                // Too many ways to read the text: this sequence ends with an error, which is what no allowed token means.
                _hasFailed = true;
                return false;
            }
        }

        public void Advance(int tokenId)
        {
            try
            {
                _hasFailed |= !matcher.TryAccept(tokenId) && !stopTokenIds.Contains(tokenId);
            }
            catch (InvalidGrammarException)
            {
                _hasFailed = true;
            }
        }
    }
}
