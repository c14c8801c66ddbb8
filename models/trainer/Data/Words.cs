namespace ModelServe.Trainer.Data;

/// <summary>Word lists of the generators.</summary>
internal static class Words
{
    public static readonly string[] Names =
    [
        "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Kira", "Liam", "Maria", "Noah",
        "Olga", "Paul", "Quinn", "Rosa", "Sven", "Tara", "Ulla", "Viktor", "Wanda", "Xenia", "Yusuf", "Zoe", "Alice", "Bob",
        "Clara", "Daniel", "Eva", "Frank", "Grace", "Henry", "Irene", "Jack", "Karl", "Lucy", "Mark", "Nina", "Oscar", "Peter",
        "Rachel", "Simon", "Tom", "Uma", "Vera", "William", "Yara", "Zack", "John", "Mary", "James", "Linda", "Sarah", "Kevin",
    ];

    public static readonly string[] Cities =
    [
        "Oslo", "Berlin", "Paris", "Rome", "Madrid", "Vienna", "Prague", "Lisbon", "London", "Dublin", "Bern", "Tokyo", "Delhi",
        "Cairo", "Lima", "Quito", "Boston", "Denver", "Dallas", "Kyoto", "Milan", "Porto", "Turin", "Zagreb", "Warsaw", "Riga",
    ];

    public static readonly string[] Jobs =
    [
        "nurse", "teacher", "baker", "farmer", "pilot", "doctor", "driver", "painter", "cook", "lawyer", "singer", "writer",
    ];

    public static readonly string[] Common =
    [
        "planet", "house", "garden", "music", "water", "bread", "table", "river", "stone", "cloud", "basket", "mouse", "glass",
        "horse", "castle", "winter", "summer", "orange", "yellow", "silver", "bridge", "window", "pencil", "kitchen", "dragon",
        "monkey", "rabbit", "banana", "cherry", "letter", "number", "simple", "hello", "world", "apple", "tiger", "forest",
        "rocket", "button", "coffee", "cat", "dog", "sun", "tree", "book", "fish", "bird", "moon", "star", "ship", "road",
        "cheese", "market", "doctor", "island", "desert", "butter", "candle", "pepper", "little", "computer", "elephant",
        "mountain", "notebook", "sandwich", "umbrella", "language", "keyboard", "hospital", "strawberry", "user", "fast",
        "grass", "task", "bus", "use", "last", "status", "season", "reason", "basic", "music", "rust", "dust", "must",
    ];

    public static readonly string[] Subjects =
    [
        "The old man", "The young girl", "A small dog", "The black cat", "My brother", "The farmer", "A tall woman", "The boy",
        "The teacher", "Our neighbor", "The driver", "A quiet child", "The train", "The river", "A cold wind", "The baker",
    ];

    public static readonly string[] Verbs =
    [
        "walked past", "looked at", "waited near", "came from", "stood by", "talked about", "went to", "ran around", "saw",
        "liked", "found", "remembered",
    ];

    public static readonly string[] Objects =
    [
        "the market", "the bridge", "a red house", "the green hill", "the school", "an empty road", "the little shop", "the garden",
        "the station", "a wooden boat", "the lake", "the church", "a big tree", "the blue door", "the harbor", "the museum",
    ];

    public static readonly string[] Times =
    [
        "", "", " in the morning", " at noon", " after lunch", " before dinner", " last week", " every day", " in the rain",
        " on Monday", " at night",
    ];
}
