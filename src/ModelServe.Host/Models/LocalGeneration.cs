using System.Runtime.CompilerServices;
using System.Text;
using ModelServe.Codec.Streaming;
using ModelServe.Engine.Admission;

namespace ModelServe.Host.Models;

/// <summary>One request answered inside this process, for the commands that need no server.</summary>
/// <remarks>Takes the same way as a request over the wire (engine, incremental decoder), without the wire.</remarks>
internal sealed class LocalGeneration(HostedModel model)
{
    /// <summary>Yields the answer token by token, then one item with the ending.</summary>
    /// <exception cref="RequestRefusedException">The engine did not accept the request.</exception>
    public async IAsyncEnumerable<GeneratedToken> StreamAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!model.Engine.Admit(request).IsAccepted(out TokenStream? stream, out Rejection? rejection))
        {
            throw new RequestRefusedException(rejection);
        }

        using (stream)
        {
            IncrementalDecoder? decoder = model.HasText ? model.Text.Tokenizer.CreateDecoder(skipSpecialTokens: true) : null;
            StringBuilder text = new();
            TokenDelta delta = new();
            while (await stream.ReadAsync(delta, cancellationToken))
            {
                int topStart = 0;
                for (int i = 0; i < delta.TokenIds.Count; i++)
                {
                    text.Clear();
                    decoder?.Append(delta.TokenIds[i], text);
                    bool hasLogprobs = delta.Logprobs.Count > i;
                    List<(int Id, float Logprob)> top = [];
                    if (hasLogprobs)
                    {
                        int count = delta.TopCounts[i];
                        for (int rank = topStart; rank < topStart + count; rank++)
                        {
                            top.Add((delta.TopTokenIds[rank], delta.TopLogprobs[rank]));
                        }

                        topStart += count;
                    }

                    yield return new GeneratedToken(delta.TokenIds[i], text.ToString(), hasLogprobs ? delta.Logprobs[i] : null, top);
                }

                if (delta.FinishReason != FinishReason.None)
                {
                    text.Clear();
                    decoder?.Flush(text);
                    yield return new GeneratedToken(null, text.ToString(), null, [])
                    {
                        FinishReason = delta.FinishReason,
                        Error = delta.Error,
                        Timings = stream.Timings,
                    };
                }
            }
        }
    }
}
