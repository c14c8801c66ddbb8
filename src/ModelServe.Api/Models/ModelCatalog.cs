using System.Diagnostics.CodeAnalysis;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Models;

/// <summary>Every model that this process serves, in the order in which the operator named them. Immutable and thread-safe.</summary>
public sealed class ModelCatalog
{
    private readonly ServedModel[] _models;
    private readonly Dictionary<string, ServedModel> _byName;

    /// <summary>A catalog of at least one model.</summary>
    /// <exception cref="ArgumentException">There is no model, or two have one name.</exception>
    public ModelCatalog(IEnumerable<ServedModel> models)
    {
        _models = [.. models];
        if (_models.Length == 0)
        {
            throw new ArgumentException("a server serves at least one model", nameof(models));
        }

        _byName = new Dictionary<string, ServedModel>(StringComparer.Ordinal);
        foreach (ServedModel model in _models)
        {
            if (!_byName.TryAdd(model.Name, model))
            {
                throw new ArgumentException($"two models have the name '{model.Name}'", nameof(models));
            }
        }
    }

    /// <summary>The models, in the operator's order.</summary>
    public IReadOnlyList<ServedModel> Models => _models;

    /// <summary>The model of that name; with no name, the only model there is.</summary>
    /// <returns>Whether there is one; else why the request is refused.</returns>
    public bool TryFind(
        string? name,
        [NotNullWhen(true)] out ServedModel? model,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        rejection = null;
        if (string.IsNullOrEmpty(name))
        {
            model = _models.Length == 1 ? _models[0] : null;
            if (model is null)
            {
                rejection = new Rejection(
                    RejectionReason.InvalidField, "model", $"one of {Names()}, because several are served", "none");
            }

            return model is not null;
        }

        if (!_byName.TryGetValue(name, out model))
        {
            rejection = new Rejection(RejectionReason.UnknownModel, "model", $"one of {Names()}", FieldCheck.Quote(name));
        }

        return model is not null;
    }

    private string Names() => string.Join(", ", _models.Select(model => model.Name));
}
