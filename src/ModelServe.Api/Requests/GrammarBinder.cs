using ModelServe.Api.Models;
using ModelServe.Codec.Grammars;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Requests;

/// <summary>Gives a request that is to follow a grammar its constraint, or says why there is none. Waits without a thread. Thread-safe.</summary>
internal static class GrammarBinder
{
    /// <summary>The request with its constraint; the request itself where it follows no grammar.</summary>
    /// <param name="read">The request, checked otherwise.</param>
    /// <param name="caller">Who asks; null for one without a credential.</param>
    /// <param name="cancellationToken">The call is over.</param>
    public static async ValueTask<(ReadRequest Read, Rejection? Rejection)> BindAsync(ReadRequest read, string? caller, CancellationToken cancellationToken)
    {
        if (read.Wanted is not { } wanted)
        {
            return (read, null);
        }

        try
        {
            CompiledGrammar grammar = await read.Model.Grammars.GetAsync(wanted, caller).WaitAsync(cancellationToken);
            GenerationRequest request = read.Request;
            var constraint = new GrammarConstraint(grammar, request.StopTokenIds);
            return (read with { Request = request with { Sampling = request.Sampling with { Constraint = constraint } } }, null);
        }
        catch (GrammarsBusyException)
        {
            return (read, new Rejection(RejectionReason.QueueFull, wanted.Field, "fewer forms that wait to be compiled", "one more"));
        }
        catch (InvalidGrammarException exception)
        {
            string place = exception.Place.Length == 0 ? "" : " at " + FieldCheck.Quote(exception.Place);
            return (read, new Rejection(
                exception.IsUnsupported ? RejectionReason.Unsupported : RejectionReason.InvalidField,
                wanted.Field,
                "a form that can be kept" + place,
                exception.Message[(exception.Place.Length == 0 ? 0 : exception.Place.Length + 2)..]));
        }
    }
}
