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
        public string? Failure { get; private set; }

        public void Follow(ReadOnlySpan<int> tokenIds)
        {
            try
            {
                for (int i = 0; i < tokenIds.Length && Failure is null; i++)
                {
                    Take(tokenIds[i]);
                }

                if (Failure is null)
                {
                    matcher.Prepare();
                }
            }
            catch (InvalidGrammarException exception)
            {
                // Too many ways to read the text, or too much work to find the next mask: this sequence ends with an error.
                Failure = $"the form of the output: {exception.Message}";
            }
        }

        public bool TryFollow(int tokenId) => Failure is null && matcher.TryAcceptPrepared(tokenId);

        public bool FillMask(Span<uint> allowed)
        {
            if (Failure is not null)
            {
                return false;
            }

            bool any = matcher.FillMask(allowed);
            if (!matcher.IsComplete)
            {
                return any;
            }

            for (int i = 0; i < stopTokenIds.Count; i++)
            {
                allowed[stopTokenIds[i] >> 5] |= 1u << (stopTokenIds[i] & 31);
            }

            return any || stopTokenIds.Count > 0;
        }

        private void Take(int tokenId)
        {
            if (!matcher.TryAccept(tokenId) && !stopTokenIds.Contains(tokenId))
            {
                Failure = $"the form of the output: token {tokenId} came where it was not allowed";
            }
        }
    }
}
