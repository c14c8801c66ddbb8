namespace ModelServe.Execution.Native;

/// <summary>The environment variables that the server obeys; nothing else reads the environment.</summary>
internal static class EnvironmentVariables
{
    /// <summary>Name of the variable behind <see cref="TorchFolder"/>.</summary>
    public const string TorchFolderName = "TORCH_LIB_DIR";

    /// <summary>Folder that holds libtorch, when it does not lie beside the program; null when unset or empty.</summary>
    public static string? TorchFolder => Read(TorchFolderName);

    /// <summary>The user's folder for what can be made again; null when unset, empty or, as its specification demands, not absolute.</summary>
    public static string? CacheHome => Read("XDG_CACHE_HOME") is { } folder && Path.IsPathRooted(folder) ? folder : null;

    private static string? Read(string name)
    {
#pragma warning disable RS0030 // This is the one place.
        var value = Environment.GetEnvironmentVariable(name);
#pragma warning restore RS0030
        return string.IsNullOrEmpty(value) ? null : value;
    }
}
