using System.Diagnostics.CodeAnalysis;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Models;

/// <summary>Every model that this process serves, loads or has served: the operator's in the order named, then those loaded by request.</summary>
/// <remarks>Thread-safe: readers take an immutable view, changes replace it as a whole.</remarks>
public sealed class ModelCatalog
{
    /// <summary>Names that are remembered after their models were unloaded; the oldest is forgotten first.</summary>
    private const int RememberedNames = 64;

    private readonly Lock _gate = new();
    private volatile View _view;

    /// <summary>A catalog of at least one model.</summary>
    /// <exception cref="ArgumentException">There is no model, or two have one name.</exception>
    public ModelCatalog(IEnumerable<ServedModel> models)
    {
        CatalogEntry[] entries = [.. models.Select(model => new CatalogEntry(model.Name, CatalogStage.Served, model, null))];
        if (entries.Length == 0)
        {
            throw new ArgumentException("a server serves at least one model", nameof(models));
        }

        if (entries.GroupBy(entry => entry.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"two models have the name '{twice.Key}'", nameof(models));
        }

        _view = new View(entries);
    }

    /// <summary>The models that are served at this moment, in order.</summary>
    public IReadOnlyList<ServedModel> Models => _view.Models;

    /// <summary>Every known name, in order.</summary>
    internal IReadOnlyList<CatalogEntry> Entries => _view.Entries;

    /// <summary>The served model of that name; with no name, the only model that is served.</summary>
    /// <returns>Whether there is one; else why the request is refused.</returns>
    public bool TryFind(
        string? name,
        [NotNullWhen(true)] out ServedModel? model,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        View view = _view;
        rejection = null;
        if (string.IsNullOrEmpty(name))
        {
            model = view.Models.Length == 1 ? view.Models[0] : null;
            rejection = model is null ? NoName(view) : null;
            return model is not null;
        }

        model = null;
        if (view.ByName.TryGetValue(name, out CatalogEntry? entry))
        {
            model = entry.Stage == CatalogStage.Served ? entry.Model : null;
            rejection = model is null ? NotServed(entry) : null;
        }
        else
        {
            rejection = new Rejection(RejectionReason.UnknownModel, "model", $"one of {Names(view)}", FieldCheck.Quote(name));
        }

        return model is not null;
    }

    /// <summary>What is known of a name; null for nothing.</summary>
    internal CatalogEntry? Find(string name) => _view.ByName.GetValueOrDefault(name);

    /// <summary>Reserves a name for a model that is about to be loaded.</summary>
    /// <returns>Why not: it is served, or it is being loaded or unloaded.</returns>
    internal Rejection? BeginLoad(string name, string directory)
    {
        lock (_gate)
        {
            CatalogEntry? present = Find(name);
            if (present?.Stage == CatalogStage.Served)
            {
                return new Rejection(RejectionReason.ModelExists, "model", "a name that is not served", FieldCheck.Quote(name));
            }

            if (present?.Stage is CatalogStage.Loading or CatalogStage.Unloading)
            {
                return NotServed(present);
            }

            Put(new CatalogEntry(name, CatalogStage.Loading, null, directory));
            return null;
        }
    }

    /// <summary>A model whose name was reserved is served from now on.</summary>
    internal void CompleteLoad(ServedModel model)
    {
        lock (_gate)
        {
            Put(new CatalogEntry(model.Name, CatalogStage.Served, model, Find(model.Name)?.Directory));
        }
    }

    /// <summary>A reserved name is free again; what was known of it before is forgotten.</summary>
    internal void AbandonLoad(string name)
    {
        lock (_gate)
        {
            _view = new View([.. _view.Entries.Where(entry => entry.Name != name)]);
        }
    }

    /// <summary>Takes a served model out; requests are refused from now on.</summary>
    /// <returns>Whether this call is the one that did; else why it could not.</returns>
    internal bool TryBeginUnload(
        string name,
        [NotNullWhen(true)] out ServedModel? model,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        lock (_gate)
        {
            if (TryFind(name, out model, out rejection))
            {
                Put(_view.ByName[name] with { Stage = CatalogStage.Unloading });
                return true;
            }

            return false;
        }
    }

    /// <summary>The memory of a model that was taken out has been given back.</summary>
    internal void CompleteUnload(string name)
    {
        lock (_gate)
        {
            Put(_view.ByName[name] with { Stage = CatalogStage.Unloaded, Model = null });
            if (_view.Entries.Count(entry => entry.Stage == CatalogStage.Unloaded) > RememberedNames)
            {
                CatalogEntry oldest = _view.Entries.First(entry => entry.Stage == CatalogStage.Unloaded);
                _view = new View([.. _view.Entries.Where(entry => entry != oldest)]);
            }
        }
    }

    private static Rejection NoName(View view) => view.Models.Length == 0
        ? new Rejection(RejectionReason.UnknownModel, "model", "a served model; none is served", "none")
        : new Rejection(RejectionReason.InvalidField, "model", $"one of {Names(view)}, because several are served", "none");

    private static Rejection NotServed(CatalogEntry entry) => entry.Stage switch
    {
        CatalogStage.Loading => new Rejection(RejectionReason.ModelBusy, "model", "one that is served", $"'{entry.Name}', which is being loaded"),
        CatalogStage.Unloading => new Rejection(RejectionReason.ModelBusy, "model", "one that is served", $"'{entry.Name}', which is being unloaded"),
        _ => new Rejection(RejectionReason.ModelUnloaded, "model", "one that is served", $"'{entry.Name}', which was unloaded"),
    };

    private static string Names(View view) => string.Join(", ", view.Models.Select(model => model.Name));

    private void Put(CatalogEntry changed)
    {
        CatalogEntry[] entries = [.. _view.Entries];
        int place = Array.FindIndex(entries, entry => entry.Name == changed.Name);
        if (place >= 0)
        {
            entries[place] = changed;
        }

        _view = new View(place >= 0 ? entries : [.. entries, changed]);
    }

    /// <summary>Everything that is known at one moment.</summary>
    private sealed class View(CatalogEntry[] entries)
    {
        public CatalogEntry[] Entries { get; } = entries;

        public ServedModel[] Models { get; } =
            [.. entries.Where(entry => entry.Stage == CatalogStage.Served).Select(entry => entry.Model!)];

        public Dictionary<string, CatalogEntry> ByName { get; } =
            entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
    }
}
