namespace ModelServe.Api.Models;

/// <summary>One name that this server knows, and how it stands with it. Immutable.</summary>
/// <param name="Name">The name that requests give.</param>
/// <param name="Stage">How it stands.</param>
/// <param name="Model">The model; set exactly while it is served or being unloaded.</param>
/// <param name="Directory">The folder it was loaded from by request, relative to a root; null for a model of the command line.</param>
internal sealed record CatalogEntry(string Name, CatalogStage Stage, ServedModel? Model, string? Directory);

/// <summary>How a server stands with a model's name.</summary>
internal enum CatalogStage
{
    /// <summary>Requests can name it.</summary>
    Served,

    /// <summary>It is being loaded.</summary>
    Loading,

    /// <summary>It ends its requests and gives its memory back.</summary>
    Unloading,

    /// <summary>It was served once.</summary>
    Unloaded,
}
